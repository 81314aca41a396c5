"""What an evaluation writes beside its figures: scores by class, a row for each image, the calibration."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from train.evaluate import entry
from train.evaluation.calibration import Calibration, draw_calibration
from train.evaluation.judgement import Judgement, draw_mistakes
from train.evaluation.tables import class_scores, in_lines, write_classes, write_images

NAMES = ["cat", "dog", "eel", "fox"]


@pytest.fixture
def judged() -> Judgement:
    """Four classes, one of them never answered and one without images."""
    probabilities = np.array(
        [[0.7, 0.2, 0.1, 0.0], [0.6, 0.4, 0.0, 0.0], [0.1, 0.9, 0.0, 0.0], [0.2, 0.2, 0.1, 0.5], [1.0, 0.0, 0.0, 0.0]]
    )
    return Judgement(probabilities, np.array([0, 1, 1, 2, 0]), NAMES)


def rows(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_scores_of_classes_are_counted_by_hand(judged, tmp_path):
    write_classes(class_scores(judged), tmp_path / "classes.csv")
    assert rows(tmp_path / "classes.csv") == [
        ["class", "precision", "recall", "f1", "support"],
        ["cat", "0.6666667", "1", "0.8", "2"],
        ["dog", "1", "0.5", "0.6666667", "2"],
        ["eel", "", "0", "0", "1"],
        ["fox", "0", "", "0", "0"],
    ]
    assert in_lines(class_scores(judged))[3].split() == ["eel", "-", "0.0%", "0.0%", "1"]


def test_the_support_is_an_integer_where_no_answer_is_right():
    found = class_scores(Judgement(np.eye(2)[[1, 0, 0]], np.array([0, 1, 1]), ["cat", "dog"]))
    assert [str(row.support) for row in found] == ["1", "2"]


def test_each_image_has_a_row_with_its_file_or_number(judged, tmp_path):
    write_images(judged, tmp_path / "images.csv", lambda number: f"{number}.png" if number else None)
    header, *found = rows(tmp_path / "images.csv")
    assert header == ["image", "class", "predicted", "probability", "probability_of_class"]
    assert found[:2] == [["0", "cat", "cat", "0.7", "0.7"], ["1.png", "dog", "cat", "0.6", "0.4"]]
    assert len(found) == 5


def test_the_calibration_error_is_counted_by_hand(judged):
    found = Calibration.of(judged, bins=2)  # confidence 0.7, 0.6, 0.9, 0.5, 1: all in the upper half
    assert found.counts.tolist() == [0, 5] and np.isnan(found.accuracy[0])
    assert found.error == pytest.approx(abs(3 / 5 - np.mean([0.7, 0.6, 0.9, 0.5, 1.0])))


def test_calibrated_answers_have_no_error_and_bins_are_those_of_scikit_learn():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 40_000)
    labels = (rng.random(40_000) > confidence).astype(int)
    judged = Judgement(np.stack([confidence, 1 - confidence], 1), labels, ["yes", "no"])
    found = Calibration.of(judged, bins=10)
    assert found.error < 0.01
    accuracy, mean = calibration_curve(labels == 0, confidence, n_bins=10)
    np.testing.assert_allclose(found.accuracy[found.counts > 0], accuracy)
    np.testing.assert_allclose(found.confidence[found.counts > 0], mean)


def test_the_picture_of_the_calibration_holds_all_of_its_text(judged, tmp_path, monkeypatch):
    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args: (figures.append(figure), save(figure, *args)))
    draw_calibration(judged, tmp_path / "calibration.png")
    above, below = figures[0].axes
    canvas = FigureCanvasAgg(figures[0])
    canvas.draw()
    for text in (above.title, above.yaxis.label, below.xaxis.label, below.yaxis.label):
        extent = text.get_window_extent(canvas.get_renderer())
        assert (
            text.get_text() and extent.x0 >= 0 and extent.x1 <= figures[0].bbox.x1 and extent.y1 <= figures[0].bbox.y1
        )
    assert figures[0].get_size_inches() == pytest.approx([5.2, 6.0]) and figures[0].dpi == 120
    assert (above.get_xlim(), above.get_ylim()) == ((0, 1), (0, 1))
    (diagonal,) = above.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    found = Calibration.of(judged)
    for bars in (*above.containers, *below.containers):
        assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx([(i + 0.5) / 15 for i in range(15)])
        assert {round(bar.get_width(), 6) for bar in bars} == {round(0.92 / 15, 6)}
    right, gap, answers = (
        [(bar.get_y(), bar.get_height()) for bar in bars] for bars in (*above.containers, *below.containers)
    )
    np.testing.assert_array_equal([height for _, height in right], found.accuracy)
    ends = np.sort([found.accuracy, found.confidence], axis=0)
    np.testing.assert_allclose(gap, np.stack([ends[0], ends[1] - ends[0]], 1))
    np.testing.assert_array_equal([height for _, height in answers], found.counts)
    assert above.get_title() == "expected calibration error 30.0%\nmean confidence 74.0%, accuracy 60.0%"
    with Image.open(tmp_path / "calibration.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 500


@pytest.mark.parametrize("count", [1, 2, 5, 7, 12])
@pytest.mark.parametrize("named", [False, True])
def test_a_sheet_of_mistakes_has_each_image_between_its_verdict_and_its_name(count, named, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args: figures.append(figure))
    judged = Judgement(np.tile([0.75, 0.25], (count, 1)), np.ones(count, int), ["cat", "dog"])
    names = [f"{i}.png" for i in range(count)] if named else None
    draw_mistakes(judged, range(count), [np.zeros((8, 8, 3), np.uint8)] * count, tmp_path / "a.png", names)
    (figure,) = figures
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [axes.get_window_extent() for axes in figure.axes]
    headline, *texts = [text.get_window_extent(canvas.get_renderer()) for text in figure.texts]
    verdicts, below = (texts[::2], texts[1::2]) if named else (texts, [None] * count)
    for box, verdict, name in zip(boxes, verdicts, below, strict=True):
        assert box.width == pytest.approx(box.height) and headline.y0 > box.y1
        assert abs(verdict.x0 + verdict.x1 - box.x0 - box.x1) < 2 and 0 < verdict.y0 - box.y1 < box.height / 8
        if name:
            assert abs(name.x0 + name.x1 - box.x0 - box.x1) < 2 and 0 < box.y0 - name.y1 < box.height / 8
    lines, columns = -(-count // 6), max(2, min(6, count))
    row = 0.36 + 1.58 + (0.28 if named else 0.18)
    assert figure.dpi == 120 and figure.get_size_inches() == pytest.approx([1.7 * columns, 0.4 + row * lines])
    assert [text.get_fontsize() for text in figure.texts] == [11, *([9, 7] if named else [9]) * count]
    every = [box for box in (headline, *boxes, *texts) if box]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in every)
    assert not any(a.overlaps(b) for i, a in enumerate(every) for b in every[:i])
    rows = [[box for box in boxes if abs(box.y0 - y) < 1] for y in sorted({round(box.y0) for box in boxes})]
    assert [len(row) for row in rows[1:]] == [min(count, 6)] * (len(rows) - 1) and len(rows) == -(-count // 6)
    assert rows[-1][0].x0 + rows[-1][-1].x1 == pytest.approx(figure.bbox.x1, abs=2)  # the first row is centred


def test_evaluating_a_folder_names_files_in_the_rows(files, tmp_path, capsys):
    from keras_resunits import PreActResNet
    from keras_resunits.serving.classifiers import save_classifier

    root = files.image_folder(tmp_path / "pets", shape=(8, 8, 3))
    save_classifier(PreActResNet(8, (8, 8, 3), 2), tmp_path / "net.keras", ["dog", "cat"])
    line = [tmp_path / "net.keras", root, "--normalize=none", f"--output={tmp_path / 'out'}"]
    assert entry.run(list(map(str, line))) == 0
    _, *found = rows(tmp_path / "out" / "images.csv")
    files_of = [str(root / "test" / kind / f"{i}.png") for kind in ("cat", "dog") for i in range(2)]
    assert [row[:2] for row in found] == [[file, Path(file).parent.name] for file in files_of]
    assert [row[0] for row in rows(tmp_path / "out" / "classes.csv")] == ["class", "dog", "cat"]
    assert "class  precision  recall" in capsys.readouterr().out
