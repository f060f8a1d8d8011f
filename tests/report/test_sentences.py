import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.report import sentences


def figure(value, half=0.02):
    return Figure(value, value - half, value + half, 500)


def judged(name, gap=None, *, same=0.9, half=0.02):
    tests = {"original": {"linear_probe": figure(0.9)}, "mixed-same": {"linear_probe": figure(same)}}
    return Evaluation(name, tests, background={} if gap is None else {"background_gap": figure(gap, half)})


def say(*evaluations, classes=10):
    return sentences(evaluations, classes=classes, primary="original")


def test_losses_are_ranked_and_told_with_their_intervals():
    measured, meaning = say(judged("low", 0.05), judged("high", 0.312), judged("middle", 0.2))
    assert measured.endswith(
        "falls by 31.2 points [29.2, 33.2] for “high”, by 20.0 points [18.0, 22.0] for “middle” "
        "and by 5.0 points [3.0, 7.0] for “low”."
    )
    assert meaning == "So “high”, “middle” and “low” rely on the background; “high” relies on it most."


def test_an_interval_that_holds_zero_shows_nothing():
    assert say(judged("a", 0.01))[1] == "So no reliance is shown for “a” (its interval contains 0)."
    assert "“a” relies on the background; no reliance is shown for “b”" in say(judged("a", 0.1), judged("b", 0.0))[1]


def test_a_negative_gap_is_a_gain():
    measured, meaning = say(judged("a", -0.1), judged("b", -0.2), judged("c", 0.1))
    assert "falls by 10.0 points [8.0, 12.0] for “c”, rises by 10.0 points [8.0, 12.0] for “a”" in measured
    assert "and by 20.0 points [18.0, 22.0] for “b”" in measured
    assert "“a” and “b” do better on random backgrounds" in meaning


def test_overlapping_intervals_are_not_told_apart():
    assert "it is not clear which relies on it most" in say(judged("a", 0.2), judged("b", 0.19))[1]
    assert "“a” relies on it more than “c”" in say(judged("a", 0.2), judged("b", 0.19), judged("c", 0.1))[1]
    assert say(judged("a", 0.3), judged("b", 0.1))[1].endswith("“a” relies on it more.")


def test_an_encoder_at_chance_proves_nothing():
    meaning = say(judged("a", 0.05, same=0.11), judged("b", 0.0))[1]
    assert "“a” is no better than chance, so its gap says nothing" in meaning
    assert "“a” relies" not in meaning


def test_many_encoders_are_told_by_their_extremes():
    measured, meaning = say(*(judged(f"e{i}", 0.1 + i / 50) for i in range(9)))
    assert "for “e8” and by 10.0 points [8.0, 12.0] for “e0” (the other 7 lie in between)" in measured
    assert "9 encoders" in meaning


def test_groups_speak_where_no_background_is_known():
    evaluation = Evaluation(
        "a",
        {"test": {"linear_probe": figure(0.9), "worst_group": figure(0.5)}},
        {"test": {"men": figure(0.5), "women": figure(0.95)}},
    )
    measured, meaning = sentences([evaluation], classes=2, primary="test")
    assert "“a” reaches 50.0 % [48.0, 52.0] on its worst group (“men”) against 90.0 % [88.0, 92.0]" in measured
    assert "hides a lower one in the worst group of “a”" in meaning
    even = Evaluation("b", {"test": {"linear_probe": figure(0.9), "worst_group": figure(0.87)}})
    assert "no group of “b” is shown to be worse than the others" in sentences([even], classes=2, primary="test")[1]


def test_without_groups_it_says_what_was_not_measured():
    measured, meaning = say(judged("a"))
    assert measured == "On the test set original, a linear probe reaches 90.0 % [88.0, 92.0] on “a”."
    assert meaning.startswith("Reliance on the background was not measured")
    assert "the intervals of the best two overlap" in say(judged("a"), judged("b"))[1]
    worse = Evaluation("b", {"original": {"linear_probe": figure(0.5)}})
    assert "“a” is ahead" in say(judged("a"), worse)[1]
    assert "No linear probe" in say(Evaluation("a", {}))[0]


def test_cross_validation_is_no_test_set():
    figures = {"cross-validation": {"linear_probe": figure(0.8), "svm": figure(0.9)}}
    crossed = Evaluation("a", figures, settings={"folds": 7})
    measured, meaning = sentences([crossed], classes=2, primary="cross-validation", images=False)
    assert measured == "In 7-fold cross-validation, a linear probe reaches 80.0 % [78.0, 82.0] on “a”."
    assert meaning.endswith("was not measured, as these data name no groups.")
    nothing = sentences([Evaluation("a", {})], classes=2, primary="cross-validation", images=False)
    assert nothing[0] == "No linear probe was evaluated in cross-validation."


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 0.3), st.floats(0, 1)), min_size=1, max_size=7))
def test_reliance_is_claimed_exactly_where_the_interval_lies_above_zero(drawn):
    names = [f"m{place}m" for place in range(len(drawn))]
    evaluations = [judged(n, gap, half=half, same=same) for n, (gap, half, same) in zip(names, drawn, strict=True)]
    measured, meaning = say(*evaluations)
    assert measured.count(". ") == meaning.count(". ") == 0
    assert measured.endswith(".")
    assert meaning.endswith(".")
    leaning = [
        name for name, (gap, half, same) in zip(names, drawn, strict=True) if gap - half > 0 and same - 0.02 > 0.1
    ]
    assert ("on the background" in meaning) == bool(leaning)
    claim = meaning.partition("on the background")[0] if leaning else ""
    if len(leaning) <= 4:
        assert [name for name in names if f"“{name}”" in claim] == leaning


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_number_agrees(count):
    meaning = say(*(judged(f"e{i}", 0.2) for i in range(count)))[1]
    assert ("relies on the background" in meaning) == (count == 1)


def owned(name, *, own, probe=0.9, worst=0.3):
    metrics = {"linear_probe": figure(probe), "worst_group": figure(0.8)}
    groups = {"original": {"x": figure(worst), "y": figure(0.95)}}
    if not own:
        return Evaluation(name, {"original": metrics}, {"original": {"z": figure(0.8)}})
    metrics |= {"classifier": figure(0.7), "worst_group_classifier": figure(worst)}
    return Evaluation(name, {"original": metrics}, {"original": {"z": figure(0.8)}}, classifier_groups=groups)


def test_where_all_have_a_trained_classifier_sentences_are_about_these():
    measured, meaning = say(owned("a", own=True))
    assert "the classifier of “a” reaches 30.0 % [28.0, 32.0] on its worst group (“x”)" in measured
    assert "against 70.0 % [68.0, 72.0] overall" in measured
    assert "hides a lower one in the worst group of “a”" in meaning
    measured, _ = say(owned("a", own=True), owned("b", own=False))
    assert "classifier" not in measured
    assert "“a” reaches 80.0 %" in measured
    gap = Evaluation(
        "a", {"original": {"classifier": figure(0.9)}}, background={"background_gap_classifier": figure(0.3)}
    )
    assert "the accuracy of the trained classifier falls by 30.0 points" in say(gap)[0]
    plain = Evaluation("a", {"original": {"classifier": figure(0.7), "linear_probe": figure(0.9)}})
    assert "the trained classifier reaches 70.0 %" in say(plain)[0]


def retrieved(name, value, gap=None, *, chance=0.5):
    tests = {"original": {"precision_at_1": figure(value), "map_at_r": figure(value)}}
    if gap is None:
        return Evaluation(name, tests)
    tests["mixed-same"] = {"precision_at_1": figure(chance), "map_at_r": figure(value)}
    return Evaluation(name, tests, background={"background_gap_map_at_r": figure(gap)})


def test_of_unseen_classes_retrieval_is_told():
    measured, meaning = say(retrieved("a", 0.3), retrieved("b", 0.4))
    assert measured == (
        "On the test set original, whose classes were not trained on, MAP@R is 40.0 % [38.0, 42.0] for “b” and "
        "30.0 % [28.0, 32.0] for “a”."
    )
    assert meaning.startswith("So “b” is ahead; reliance on the background was not measured")
    measured, meaning = say(retrieved("a", 0.3, 0.1), retrieved("b", 0.4, 0.0, chance=0.11))
    assert "MAP@R falls by 10.0 points [8.0, 12.0] for “a” and by 0.0 points [-2.0, 2.0] for “b”." in measured
    assert meaning == ("So “a” relies on the background; “b” is no better than chance, so its gap says nothing.")


def test_an_exchanged_nuisance_is_told_in_place_of_the_background():
    said = {"classes": 10, "primary": "original", "images": False, "nuisance": "the column sex"}
    measured, meaning = sentences([judged("a", 0.1), judged("b", -0.1)], **said)
    assert measured.startswith(
        "When test samples get the column sex of samples of random classes instead of samples of their own class, the "
        "accuracy of the linear probe falls by 10.0 points"
    )
    assert meaning == "So “a” relies on the column sex; “b” does better with the column sex of random classes."
