

@pytest.mark.parametrize("line", ["native", "grpcio"])
def test_an_adapter_whose_calls_overlap(make_pool: Any, line: str) -> None:
    if line == "grpcio":
        pytest.importorskip("grpc", reason="the end in pure Python needs grpcio")
    pool = make_pool(
        "original.threaded:ScoringAdapter",
        size=1,
        line=line,
        profile="thread",
        threads_per_worker=4,
        thread_safety_checks=True,
    )
    sessions = [pool.session(f"s{number}") for number in range(4)]
    pauses = [session.submit("pause", {"seconds": 0.05}) for session in sessions * 3]
    assert [pause.result(60) for pause in pauses] == [session.id for session in sessions] * 3, (
        "whichever thread told the adapter of its session last"
    )
    scores = [pool.submit("score", {"text": "abba"}) for _ in range(20)]
    assert {score.result(60)["score"] for score in scores} == {6.0}
    told = pool.execute("statistics")
    assert told["tracker"]["total_requests"] == 33, "each call once"
    assert told["totals"]["requests"] == 20
    assert told["thread_safe"] is True
    assert pool.execute("clear_caches") is True
    assert pool.info() is not None
