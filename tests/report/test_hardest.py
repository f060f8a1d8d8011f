from dataclasses import replace

import pytest
import torch
from torch import nn

from unconfound.data import Dataset
from unconfound.evaluation.evaluate import evaluate
from unconfound.evaluation.judging import Judging
from unconfound.report.hardest import SHOWN, hardest_part


def scene_of(inputs):
    """Read the colour of the scene, which misleads."""
    return inputs[:, :, -1, -1].float() / 255


def classes_of(dataset):
    """Return a classifier that answers with the class whose scene it sees, exactly, through the nearest colour."""
    train = scene_of(dataset.train.inputs)
    colours = torch.stack([train[dataset.train.labels == label][0] for label in range(4)])
    classifier = nn.Linear(3, 4)
    with torch.no_grad():
        classifier.weight.copy_(2 * 50 * colours)
        classifier.bias.copy_(-50 * colours.square().sum(1))
    return classifier


@pytest.fixture
def data(picture_data):
    made = picture_data(each=12)
    return Dataset(made.train, made.tests, labelled=made.train)


@pytest.mark.parametrize("own", [True, False], ids=["classifier", "probe"])
def test_mistakes_are_the_surest_wrong_answers_of_the_worst_group(data, own):
    judged = evaluate(scene_of, data, name="a", classifier=classes_of(data) if own else None)
    part = hardest_part(judged, data, test="original")
    evaluation = judged.evaluation
    figures = (evaluation.classifier_groups if own else evaluation.groups)["original"]
    assert part.predictor == ("trained classifier" if own else "linear probe")
    assert part.group in figures
    assert part.figure == figures[part.group] == min(figures.values(), key=lambda figure: figure.value)
    source, answers = data.tests["original"], judged.predictions["classifier" if own else "linear_probe"]["original"]
    group = source.schema.groups.index(part.group)
    wrong = [
        (float(answers.confidence[i]), f"sample {i}")
        for i in range(len(source))
        if source.groups[i] == group and answers.classes[i] != source.labels[i]
    ]
    assert part.wrong == len(wrong) == part.figure.samples
    surest = sorted((confidence for confidence, _ in wrong), reverse=True)[:SHOWN]
    assert [mistake.confidence for mistake in part.mistakes] == surest
    assert {mistake.sample.name for mistake in part.mistakes} <= {name for _, name in wrong}
    label = part.group.split(",")[0]
    assert all(mistake.sample.label == label and mistake.answer != label for mistake in part.mistakes)


def test_a_worst_group_without_mistakes_shows_none(data):
    perfect = replace(data, tests={"mixed-same": replace_inputs(data)})
    part = hardest_part(evaluate(scene_of, perfect, name="a"), perfect, test="mixed-same")
    assert part.mistakes == ()
    assert part.wrong == 0


def replace_inputs(data):
    source = data.tests["mixed-same"]
    source.inputs = data.train.inputs
    return source


def test_nothing_without_groups_or_answers(data, graph_data):
    for source in (data.train, *data.tests.values()):
        source.groups = None
    assert hardest_part(evaluate(scene_of, data, name="a"), data, test="original") is None
    crossed = evaluate(
        lambda graphs: graphs.sizes[:, None].float(), graph_data, name="a", judging=Judging(folds=5, repeats=1)
    )
    assert hardest_part(crossed, graph_data, test="cross-validation") is None
