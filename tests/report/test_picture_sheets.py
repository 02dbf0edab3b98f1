"""Sheets of pictures on the page of a report, and what they weigh."""

import re
from dataclasses import replace

import pytest
import torch

from polylogit.evaluation import evaluate_logits
from polylogit.report import ReportData, report_html
from polylogit.report.picture_sheets import confused_pairs, typical_pictures
from polylogit.report.pictures import occlusion_uri, picture_uri

NAMES = ("cat", "dog", "fox")


@pytest.fixture
def report():
    """Five pictures of each class: two dogs and, more surely, a third are called foxes, one cat a dog."""
    targets = torch.arange(3).repeat_interleave(5)
    logits = 4.0 * torch.eye(3)[targets] + torch.arange(15)[:, None] / 100 * torch.eye(3)[targets]
    logits[5], logits[6], logits[7] = (torch.tensor([0, 0, sure]) for sure in (1.0, 2.0, 3.0))
    logits[0] = torch.tensor([0.0, 1.0, 0.0])
    return ReportData(
        data="pets",
        model="cnn",
        evaluation=evaluate_logits(logits, targets, NAMES),
        logits=logits,
        targets=targets,
        pictures=torch.arange(15, dtype=torch.uint8)[:, None, None, None].expand(15, 1, 8, 8),
        files=[f"{row}.png" for row in range(15)],
    )


def test_a_confusion_that_happened_twice_has_a_sheet_with_the_surest_first(report):
    (sheet,) = confused_pairs(report)
    assert (sheet.title, sheet.said) == ("dog, predicted fox", "3 of 5 pictures of dog.")
    assert [picture.name for picture in sheet.pictures] == ["7.png", "6.png", "5.png"]
    assert sheet.pictures[0].uri == picture_uri(report.pictures[7])
    assert sheet.pictures[0].probability == pytest.approx(torch.tensor([0.0, 0.0, 3.0]).softmax(0).max().item())


def test_rows_of_weight_zero_are_no_mistakes(report):
    weights = torch.ones(15).index_fill(0, torch.tensor([6, 7]), 0.0)
    assert confused_pairs(replace(report, sample_weight=weights)) == []


def test_the_typical_pictures_of_a_class_are_right_and_the_surest(report):
    sheets = typical_pictures(report)
    assert [sheet.title for sheet in sheets] == list(NAMES)
    assert [[picture.name for picture in sheet.pictures] for sheet in sheets] == [
        ["4.png", "3.png", "2.png", "1.png"],
        ["9.png", "8.png"],
        ["14.png", "13.png", "12.png", "11.png"],
    ]


def test_a_table_has_no_sheets(reports):
    assert confused_pairs(reports["table"]) == typical_pictures(reports["table"]) == []


def test_the_page_shows_an_occlusion_map_under_its_picture(report):
    fall = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    page = report_html(replace(report, occlusions={7: fall}))
    assert page.count(occlusion_uri(report.pictures[7], fall)) == 1
    assert "occlusion map" not in report_html(report)


def test_an_occlusion_map_is_orange_where_the_class_loses_and_blue_where_it_wins():
    import base64
    import io

    import numpy as np
    from PIL import Image

    uri = occlusion_uri(torch.zeros(1, 8, 8, dtype=torch.uint8), torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
    red, _, blue = pixels[0, 0].astype(int)
    assert red > blue
    red, _, blue = pixels[-1, 0].astype(int)
    assert blue > red


def test_the_size_of_the_page_is_bounded():
    """Noise, which compresses worst, of 20 classes, all of which are taken for each other."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (30, 3, 500, 400), generator=draw, dtype=torch.uint8)
    pictures = pixels.repeat(10, 1, 1, 1)
    targets, logits = torch.arange(300) % 20, torch.randn(300, 20, generator=draw)
    logits[:100, 1] += 9
    names = [f"class {number}" for number in range(20)]
    report = ReportData(
        "noise", "cnn", evaluate_logits(logits, targets, names), logits, targets, pictures=pictures,
        occlusions={row: torch.rand(7, 7, generator=draw) for row in range(300)},
    )  # fmt: skip
    page = report_html(report)
    assert len(re.findall(r"<img", page)) > 90
    assert len(page) < 2.5e6
