"""Units as pictures."""

import json

import keras
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from PIL import Image

import keras_resunits as kr
from keras_resunits.analysis.unit_pictures import KINDS, WIDTH, Picture
from keras_resunits.layers.words import word
from tests.support.paths import ROOT

GOOD = ROOT / "tests" / "fixtures" / "drawn_units.json"


def units() -> dict[str, kr.Unit]:
    """A unit with each of the things that are drawn: a shortcut's layers, gates, columns, an entry and an exit."""
    keras.utils.clear_session()
    shape = (8, 8, 3)
    return {
        "a widening unit": kr.ResNet(depth=8, input_shape=shape, shortcut="projection").get_layer("unit001"),
        "a plain one,\nwithout a shortcut": kr.PlainNet(depth=8, input_shape=shape).get_layer("unit000"),
        "a gated one": kr.HighwayNet(depth=8, input_shape=shape).get_layer("unit001"),
        "columns": kr.FractalNet(3, shape, filters=(4,), dropout=(0.0,)).get_layer("unit000"),
        "a scaled one": kr.ResNet(depth=8, input_shape=shape, order="fixup").get_layer("unit000"),
    }


def test_a_new_layer_is_drawn_by_its_registered_word():
    class Wobble(keras.layers.Layer):
        pass

    class Spin(keras.layers.Layer):
        pass

    word.register(Wobble, lambda layer: "*wobble")
    unit = kr.Unit(kr.Series([keras.layers.Conv2D(8, 3, strides=2), Wobble(), Spin()]))
    boxes = Picture("new", unit).pieces("branch")
    kinds = {colour: name for name, (_, colour) in KINDS.items()}
    assert [(box.text, kinds[box.colour]) for box in boxes] == [
        ("conv3/2, 8", "weights"),
        ("\u00d7wobble", "gate, scale, drop"),
        ("spin", "other"),
    ]


def test_a_fractal_is_drawn_with_every_layer_of_every_column():
    model = kr.FractalNet(3, (8, 8, 3), filters=(4,), dropout=(0.0,))
    (columns,) = Picture("fractal", model.get_layer("unit000")).pieces("branch")
    layer = ["conv3, 4", "norm", "act"]
    assert [[[box.text for box in stack] for stack in column] for column in columns.columns] == [
        [layer],
        [layer] * 2,
        [layer] * 4,
    ]


def titles(figure: Figure) -> list[str]:
    """The lines above the units."""
    return [text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold"]


def test_the_first_unit_of_each_kind_of_a_network_is_drawn():
    figure = kr.draw(kr.ResNet(depth=14, input_shape=(16, 16, 3), shortcut="shortcut_gating"))
    assert titles(figure) == ["unit000", "2 of these", "unit002", "unit003", "unit004", "unit005"]


def test_one_unit_has_its_name_and_several_the_titles_that_are_given():
    unit = kr.create("PreActResNet", depth=8, input_shape=(8, 8, 3)).get_layer("unit001")
    assert titles(kr.draw(unit)) == ["unit001"]
    assert titles(kr.draw({"one": unit, "other": unit})) == ["one", "other"]


def test_many_units_are_drawn_in_rows_within_the_page():
    unit = kr.PreActResNet(depth=8, input_shape=(8, 8, 3)).get_layer("unit001")
    one, many = (kr.draw({str(i): unit for i in range(count)}) for count in (1, 20))
    assert many.get_figheight() > 2 * one.get_figheight()
    boxes = [patch for patch in many.axes[0].patches if patch.get_gid() == "box"]
    assert all(box.get_x() >= 0 and box.get_x() + box.get_width() <= WIDTH for box in boxes)


def test_a_picture_is_shown_by_a_notebook_and_saved(tmp_path):
    figure = kr.draw(kr.FractalNet(2, (8, 8, 3), filters=(4, 8), dropout=(0.0, 0.0)))
    assert figure._repr_png_().startswith(b"\x89PNG")
    figure.savefig(tmp_path / "units.png")
    with Image.open(tmp_path / "units.png") as saved:
        assert saved.width == 2 * WIDTH


@pytest.mark.parametrize("wrong", [None, {}, {"a": keras.layers.ReLU()}, keras.Sequential(), "resnet20"])
def test_what_has_no_units_is_refused(wrong):
    with pytest.raises(ValueError, match="`units` must be a network with units, a unit, or a dict of units by their"):
        kr.draw(wrong)


def places(figure: Figure) -> list[list]:
    """Texts, boxes and lines in the order in which they are drawn, each with its place on the page."""
    (axes,) = figure.axes
    texts = [["text", text.get_text(), *text.get_position()] for text in axes.texts]
    circles = [["circle", "", *patch.center, patch.radius] for patch in axes.patches if isinstance(patch, Circle)]
    boxes = [
        ["box", "", box.get_x(), box.get_y(), box.get_width(), box.get_height()]
        for box in axes.patches
        if box.get_gid() == "box"
    ]
    lines = [["line", "", *line.get_xydata().ravel()] for line in axes.lines]
    whole = [*(900 * part for part in axes.get_position().bounds), *(100 * side for side in figure.get_size_inches())]
    page = ["page", "", *axes.get_xlim(), *axes.get_ylim(), *whole]
    return [*texts, *circles, *boxes, *lines, page]


def test_every_text_box_and_line_lies_where_it_was_found_good():
    """Look at the picture after a change that is meant, then write: `python -m tests.analysis.test_draw`."""
    wanted = json.loads(GOOD.read_text())
    found = places(kr.draw(units()))
    assert [each[:2] for each in found] == [each[:2] for each in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours[2:] == pytest.approx(theirs[2:], abs=0.5), theirs  # half a pixel: fonts differ a little


if __name__ == "__main__":
    rounded = ([*each[:2], *(round(float(value), 1) for value in each[2:])] for each in places(kr.draw(units())))
    GOOD.write_text("[\n" + ",\n".join(map(json.dumps, rounded)) + "\n]\n")
