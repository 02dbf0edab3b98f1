from polylogit.evaluation import Summary, evaluate_logits, summarise_logits


def test_a_summary_is_the_start_of_the_evaluation(draw, whole_weights):
    logits, targets = draw(200, 4)
    weights = whole_weights(200).double()
    whole = evaluate_logits(logits, targets, list("abcd"), sample_weight=weights)
    summary = summarise_logits(logits, targets, sample_weight=weights)
    assert isinstance(whole, Summary)
    assert {name: getattr(whole, name) for name in vars(summary)} == vars(summary)
    assert summary.as_json().items() <= whole.as_json().items()
