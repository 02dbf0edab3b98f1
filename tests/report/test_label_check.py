"""Suspects on the page, in a frame and on a terminal."""

from dataclasses import replace

import polars as pl
import pytest

from polylogit.report import report_html
from polylogit.report.conclusions import conclusions
from polylogit.report.label_check import LabelCheck, SuspectLabel, label_check_report, label_check_sentence
from polylogit.report.terminal_text import TerminalConsole


def check_of(count, **changes):
    suspects = tuple(SuspectLabel(n + 1, None, "cat", "dog", 0.01, 0.98, 0.9) for n in range(count))
    return replace(
        LabelCheck("pets", "row", 200, 200, 0.95, False, suspects, pl.DataFrame({"a": range(count)})), **changes
    )


def shown(check):
    console = TerminalConsole()
    with console.capture() as captured:
        console.print(label_check_report(check))
    return captured.get()


def test_the_page_shows_the_rows_of_a_table(reports):
    page = report_html(reports["table"])
    part = page[page.index('id="figure-suspects"') :]
    part = part[: part.index("</table>")]
    assert part.count("<tr>") == 3
    assert "part &lt;1&gt;.csv: 17" in part
    assert "98.1%" in part
    assert '<a href="#labels">' in page


def test_the_page_shows_pictures_as_pictures(reports):
    page = report_html(reports["pictures"])
    part = page[page.index('id="figure-suspects"') :]
    part = part[: part.index("</ul>")]
    assert part.count("<img") == part.count('src="data:image/png') == 2
    assert "no. 1040" in part


def test_the_page_of_a_report_without_a_check_has_no_such_part(reports):
    assert "figure-suspects" not in report_html(reports["weighted"])
    assert 'href="#labels"' not in report_html(reports["weighted"])


def test_the_page_of_many_suspects_says_how_many_more_there_are(reports):
    page = report_html(replace(reports["table"], labels=check_of(30)))
    assert page.count('</td><td class="wrong-word">dog') == 12
    assert "And 18 more, in the JSON report" in page


def test_a_terminal_shows_twenty():
    text = shown(check_of(25))
    assert text.count("cat") == 20
    assert "and 5 more; --out FILE.csv writes all of them" in text
    assert "25 labels are probably wrong: 200 of 200 rows were examined" in " ".join(text.split())


def test_control_characters_of_names_are_escaped():
    suspect = SuspectLabel(1, "a\x1b[31m.png", "cat\x1b[2J", "dog", 0.01, 0.98, 0.9)
    text = shown(check_of(0, suspects=(suspect,), noun="picture"))
    assert "\\x1b[2J" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize(("overlapping", "suspects", "codes"), [(False, 2, ["PL040"]), (True, 2, []), (False, 0, [])])
def test_a_conclusion_follows_where_the_classes_are_clear(reports, overlapping, suspects, codes):
    check = check_of(suspects, overlapping=overlapping)
    found = conclusions(reports["weighted"].evaluation, labels=check)
    assert [each.code for each in found if each.code.startswith("PL04")] == codes


def test_overlapping_classes_are_said():
    assert "hard to classify rather than wrongly labelled" in label_check_sentence(check_of(2, overlapping=True))


def test_the_frame_has_files_only_where_they_are_known():
    assert "file" not in check_of(2).frame().columns
    suspect = SuspectLabel(1, "a.png", "cat", "dog", 0.01, 0.98, 0.9)
    assert check_of(0, suspects=(suspect,)).frame()["file"].to_list() == ["a.png"]
    assert check_of(0).frame().shape == (0, 6)
