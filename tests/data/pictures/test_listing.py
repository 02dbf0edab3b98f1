"""Labelled picture files: the layouts, and what is ignored, refused or counted."""

import numpy as np
import polars as pl
import pytest
from PIL import Image

from polylogit.data.pictures.found_files import LeftAside, pictures_below
from polylogit.data.pictures.listing import list_picture_folder
from polylogit.data.pictures.sources import PictureFiles, open_pictures
from polylogit.data.pictures.table_listing import list_picture_table
from polylogit.data.pictures.unlabelled import read_unlabelled
from polylogit.errors import DataError, RecipeError


def save(path, shade=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), shade).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    for name, shade in (("dark", 10), ("light", 240)):
        for number in range(4):
            save(tmp_path / name / f"{number}.png", shade)
    return tmp_path


def names(listing):
    return [file.relative_to(listing.root).as_posix() for file in listing.files]


def test_folders_inside_a_class_folder_belong_to_the_class(folder):
    save(folder / "dark" / "ann" / "deep" / "1.png")
    save(folder / "light" / "bob" / "1.png")
    listing = list_picture_folder(folder)
    assert names(listing)[4] == "dark/ann/deep/1.png"
    assert listing.labels == ("dark",) * 5 + ("light",) * 5
    assert listing.parts is None


def test_files_that_are_no_pictures_are_counted_and_named(folder):
    for name in ("notes.txt", "Thumbs.db", ".DS_Store", "desktop.ini"):
        (folder / "dark" / name).write_text("no picture")
    save(folder / "__MACOSX" / "dark" / "0.png")
    listing = list_picture_folder(folder)
    assert len(listing.files) == 8
    assert listing.notes == ("1 file is no picture and was ignored: dark/notes.txt.",)


@pytest.mark.parametrize("ending", [".heic", ".SVG", ".cr2"])
def test_a_picture_that_cannot_be_read_is_an_error(folder, ending):
    (folder / "light" / f"9{ending}").write_bytes(b"x")
    with pytest.raises(DataError, match=rf"1 picture has a format that cannot be read: light/9\{ending}\. Convert it"):
        list_picture_folder(folder)


def test_parts_are_recognised_in_any_of_their_names(tmp_path):
    for part in ("Training", "valid", "test"):
        for name in ("dark", "light"):
            save(tmp_path / part / name / "0.png")
    listing = list_picture_folder(tmp_path)
    assert listing.parts == ("train", "train", "val", "val", "test", "test")
    source = open_pictures(str(tmp_path))
    assert source.class_names == ("dark", "light")
    assert source.own_split.train.tolist() == [0, 1, 2, 3]
    assert source.own_split.test.tolist() == [4, 5]
    assert source.validation.tolist() == [2, 3]


def test_without_a_test_folder_the_validation_folder_is_tested_on(tmp_path):
    for part in ("train", "val"):
        for name in ("dark", "light"):
            save(tmp_path / part / name / "0.png")
    source = open_pictures(str(tmp_path))
    assert source.own_split.train.tolist() == [0, 1]
    assert source.own_split.test.tolist() == [2, 3]
    assert source.validation is None


def test_classes_that_are_called_train_and_test_are_classes(tmp_path):
    for name in ("train", "test"):
        save(tmp_path / name / "0.png")
    listing = list_picture_folder(tmp_path)
    assert listing.parts is None
    assert listing.labels == ("test", "train")


def test_groups_from_folders_and_from_file_names(tmp_path):
    for name, person in (("dark", "ann"), ("dark", "bob"), ("light", "ann")):
        save(tmp_path / name / person / f"{person}-1.png")
    listing = list_picture_folder(tmp_path)
    assert listing.values_of("data.group", "folder").to_list() == ["ann", "bob", "ann"]
    assert listing.values_of("data.group", r"/([a-z]+)-\d").to_list() == ["ann", "bob", "ann"]
    assert listing.values_of("data.group", r"[a-z]+-").to_list() == ["ann-", "bob-", "ann-"]


def test_groups_that_cannot_be_found_are_errors(folder):
    listing = list_picture_folder(folder)
    with pytest.raises(DataError, match=r'data\.group = "folder", but dark/0\.png is directly in its class folder'):
        listing.values_of("data.group", "folder")
    with pytest.raises(DataError, match=r"data\.group = 'patient' does not match the file dark/0\.png"):
        listing.values_of("data.group", "patient")
    with pytest.raises(RecipeError, match=r"data\.group: '\(' is no regular expression"):
        listing.values_of("data.group", "(")


def test_a_table_of_file_names_and_labels(folder):
    table = pl.DataFrame(
        {"file": ["dark/1.png", "light/0.png"], "label": ["night", " day "], "who": ["ann", None], "n": [1, 2]}
    )
    listing = list_picture_table(table, "t.csv", folder, path_column="file", label_column="label")
    assert names(listing) == ["dark/1.png", "light/0.png"]
    assert listing.labels == ("night", "day")
    assert listing.values_of("data.group", "who").to_list() == ["ann", None]
    with pytest.raises(RecipeError, match=r'data\.group: t\.csv has no column "whoo"\. Did you mean "who"'):
        listing.values_of("data.group", "whoo")


@pytest.mark.parametrize(
    ("file", "label", "message"),
    [
        ("dark/9.png", "night", r't\.csv, column "file", row 2: there is no file .*9\.png'),
        (None, "night", r't\.csv, column "file", row 2: the file name is missing'),
        ("dark/1.png", " ", r't\.csv, column "label", row 2: the class is missing'),
    ],
)
def test_a_wrong_row_of_the_table_is_named(folder, file, label, message):
    table = pl.DataFrame({"file": ["dark/0.png", file], "label": ["night", label]})
    with pytest.raises(DataError, match=message):
        list_picture_table(table, "t.csv", folder, path_column="file", label_column="label")


def test_a_table_is_read_from_its_file_and_its_labels_are_in_the_fingerprint(folder):
    table = folder / "labels.csv"
    reading = PictureFiles(path_column="file", label_column="label")
    table.write_text("file,label\ndark/0.png,a\nlight/0.png,b\n")
    source = open_pictures(str(table), reading=reading)
    assert source.class_names == ("a", "b")
    table.write_text("file,label\ndark/0.png,b\nlight/0.png,a\n")
    assert open_pictures(str(table), reading=reading).fingerprint != source.fingerprint


def test_a_truncated_picture_is_named_beside_one_without_a_header(folder):
    first, second = (folder / "dark" / f"{number}.png" for number in (0, 2))
    first.write_bytes(first.read_bytes()[:-30])  # the header can be read
    second.write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)2 pictures cannot be read.*0\.png.*2\.png: the file is empty"):
        open_pictures(str(folder))


def test_broken_pictures_are_all_named_or_skipped(folder):
    for number in (0, 2):
        (folder / "dark" / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)2 pictures cannot be read.*data\.broken=skip.*0\.png.*2\.png"):
        open_pictures(str(folder))
    source = open_pictures(str(folder), reading=PictureFiles(broken="skip"))
    assert source.targets.tolist() == [0, 0, 1, 1, 1, 1]
    assert source.listing.notes[0].startswith("2 pictures cannot be read and were skipped: ")


def test_a_broken_link_is_an_error(folder):
    (folder / "dark" / "8.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(DataError, match=r"8\.png: there is no such file, or a link leads nowhere"):
        open_pictures(str(folder))


def test_pictures_to_predict_are_found_at_any_depth_in_natural_order(tmp_path):
    for name in ("10.png", "9.png", "deep/deeper/1.png"):
        save(tmp_path / name)
    found = [name.removeprefix(f"{tmp_path}/") for name in read_unlabelled(str(tmp_path), (1, 8, 8)).names]
    assert found == ["9.png", "10.png", "deep/deeper/1.png"]
    assert len(list(pictures_below(tmp_path, LeftAside()))) == 3


def test_transparent_pixels_take_the_background(folder):
    ink = np.zeros((8, 8, 4), dtype=np.uint8)
    ink[2:4, 2:4, 3] = 255
    Image.fromarray(ink).save(folder / "dark" / "0.png")
    white = open_pictures(str(folder)).pixels[0]
    assert white[:, 0, 0].tolist() == [255, 255, 255]
    assert white[:, 2, 2].tolist() == [0, 0, 0]
    plain = open_pictures(str(folder), reading=PictureFiles(background=None)).pixels[0]
    assert plain[:, 0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("kind", "ending"), [(np.uint16, "png"), (np.uint16, "tif"), (np.int32, "tif")])
def test_sixteen_bits_are_scaled_and_not_clipped(folder, kind, ending):
    Image.fromarray(np.full((8, 8), 40_000, dtype=kind)).save(folder / "dark" / f"9.{ending}")
    assert open_pictures(str(folder)).pixels[4].unique().tolist() == [40_000 >> 8]


@pytest.mark.parametrize("ending", ["tif", "gif", "avif", "jfif"])
def test_further_formats_are_read(folder, ending):
    Image.new("L", (8, 8), 128).save(folder / "dark" / f"x.{ending}", format="JPEG" if ending == "jfif" else None)
    source = open_pictures(str(folder))
    assert len(source.targets) == 9
    assert abs(int(source.pixels[4].float().mean()) - 128) <= 2


def test_the_first_frame_of_an_animation_is_read(folder):
    frames = [Image.new("L", (8, 8), shade) for shade in (30, 200)]
    frames[0].save(folder / "dark" / "x.gif", save_all=True, append_images=frames[1:])
    assert abs(int(open_pictures(str(folder)).pixels[4].float().mean()) - 30) <= 2


def test_pictures_are_known_by_their_content_where_their_names_say_nothing(folder):
    content = save(folder / "dark" / "x.png").read_bytes()
    for name in ("no_ending", "picture.dat", "v1.2"):
        (folder / "dark" / name).write_bytes(content)
    (folder / "dark" / "notes.dat").write_text("not a picture")
    listing = list_picture_folder(folder)
    assert [name for name in names(listing) if "." not in name or ".dat" in name or "v1" in name] == [
        "dark/no_ending",
        "dark/picture.dat",
        "dark/v1.2",
    ]
    assert listing.notes == ("1 file is no picture and was ignored: dark/notes.dat.",)


def test_pictures_of_formats_that_cannot_be_read_are_all_named_or_skipped(folder):
    (folder / "dark" / "a.heic").write_bytes(b"x")
    (folder / "dark" / "b").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (folder / "light" / "c.svg").write_text("<svg/>")
    with pytest.raises(
        DataError, match=r"3 pictures have formats .*: dark/a\.heic, dark/b, light/c\.svg\. Convert them"
    ):
        list_picture_folder(folder)
    listing = list_picture_folder(folder, broken="skip")
    assert len(listing.files) == 8
    assert listing.notes == (
        "3 pictures have formats that cannot be read and were skipped: dark/a.heic, dark/b, light/c.svg.",
    )


def test_a_picture_whose_content_is_of_another_format_than_its_name_says_is_named_with_the_remedy(folder):
    (folder / "dark" / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50))
    with pytest.raises(
        DataError, match=r"a\.jpg: the content is HEIC, whatever the name ends in; .* Convert it to PNG or JPEG"
    ):
        open_pictures(str(folder))


def test_links_that_lead_back_or_nowhere_are_named(folder):
    (folder / "gone").symlink_to(folder / "nowhere")
    listing = list_picture_folder(folder)
    assert listing.notes == ("1 file is no picture and was ignored: gone (a link that leads nowhere).",)
    (folder / "dark" / "again").symlink_to(folder / "dark")
    with pytest.raises(DataError, match=r"dark/again: a link on this path leads back to .*dark, which it is in"):
        list_picture_folder(folder)


def parts_of(folder, *parts):
    for part in parts:
        for name in ("dark", "light"):
            save(folder / part / name / "0.png")


def test_folders_of_parts_are_stated(tmp_path):
    parts_of(tmp_path, "train", "valid", "test")
    expected = (
        "train is the training set (2 pictures), valid is the validation set (2 pictures) and test is the test set"
    )
    assert list_picture_folder(tmp_path).notes == (f"by their names, {expected} (2 pictures).",)


def test_folders_of_parts_are_not_taken_for_classes(tmp_path):
    parts_of(tmp_path / "a", "train", "test", "unlabelled")
    with pytest.raises(
        DataError, match=r"test, train are the parts of a split, .* a folder that is no part: unlabelled"
    ):
        list_picture_folder(tmp_path / "a")
    parts_of(tmp_path / "b", "train")
    save(tmp_path / "b" / "test" / "0.png")
    with pytest.raises(DataError, match=r"b/test: expected one folder per class, .* Train on .*b/train, and predict"):
        list_picture_folder(tmp_path / "b")
    parts_of(tmp_path / "c", "train")
    with pytest.raises(DataError, match=r"found only train\. Is .*c/train meant\? There are 2 folders in it"):
        list_picture_folder(tmp_path / "c")


def test_a_class_may_have_the_name_of_a_part(tmp_path):
    for name in ("train", "car"):
        save(tmp_path / name / "0.png")
    assert list_picture_folder(tmp_path).labels == ("car", "train")


def test_folders_of_parts_inside_class_folders_are_noted(tmp_path):
    for name in ("dark", "light"):
        for part in ("train", "test"):
            save(tmp_path / name / part / "0.png")
    (note,) = list_picture_folder(tmp_path).notes
    assert note.endswith("not used as a split; --set data.split='/(test|train)/' uses them.")


def test_every_missing_file_of_a_table_is_named_with_its_row(folder):
    table = pl.DataFrame({"file": ["dark/0.png", "no.png", None, "no2.png"], "class": ["a", "b", "a", "b"]})
    with pytest.raises(DataError, match=r"(?s)3 rows are at fault.*row 2: there is no file .*row 3: .*row 4: there is"):
        list_picture_table(table, "t.csv", folder, path_column="file", label_column="class")


def test_names_with_backslashes_are_read_as_windows_does(folder):
    table = pl.DataFrame({"file": ["dark\\0.png", "light\\1.png"], "class": ["a", "b"]})
    listing = list_picture_table(table, "t.csv", folder, path_column="file", label_column="class")
    assert names(listing) == ["dark/0.png", "light/1.png"]
