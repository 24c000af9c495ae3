"""What several workers count and know together."""


def test_a_limit_of_all_workers_holds_in_sum(serve, configure):
    limit = {"requests_per_second": "0.0001", "burst": "20", "key_strategy": "global"}
    server = serve(
        "--workers", "3", root=configure({"RateLimit": limit, "FileHandler": {}})
    )
    # Each request has a connection of its own, so the workers share them.
    statuses = [server.request("GET", "/document.html")[0] for _ in range(60)]
    assert statuses == [200] * 20 + [429] * 40
