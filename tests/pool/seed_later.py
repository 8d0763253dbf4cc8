

def test_thread_safe_adapters(make_pool: Any, adapter: Adapter, line: str) -> None:
    world = (
        MODEL
        + inside("config = {}\n", "class Configured(ThreadedAdapter):")
        + "    @tool\n    @thread_safe_method\n    def configured(self): return dict(self.config)\n"
    )
    source = adapter(snippet("Thread-Safe Adapters (Python 3.13+)") + world, "Configured")
    pool = make_pool(source, size=1, line=line, profile="thread", threads_per_worker=4)
    futures = [pool.submit("predict", {"text": text}) for text in ("a", "b") * 10]
    assert [future.result(60) for future in futures] == ["A", "B"] * 10
    assert pool.execute("update_config", {"config": {"level": 3}}) is None
    assert pool.execute("configured") == {"level": 3}


def test_session_context_and_tools_of_the_host(
    make_pool: Any, adapter: Adapter, line: str
) -> None:
    source = "\n".join(
        [
            "from snakepit_bridge import BaseAdapter, tool",
            inside(snippet("Session Context and Elixir Tool Calls"), "class Hybrid(BaseAdapter):"),
            "    def process(self, data):",
            "        return {'data': data, 'session': self.session_context.session_id}",
        ]
    )
    pool = make_pool(adapter(source, "Hybrid"), size=1, line=line)
    asked: list[Any] = []

    def validate_data(data: dict[str, Any], schema: str) -> dict[str, Any]:
        asked.append((data, schema))
        return {"valid": bool(data), "errors": [] if data else ["empty"]}

    pool.register_tool("validate_data", validate_data)
    with pool.session("user_7") as session:
        assert session.execute("hybrid_process", {"data": {"a": 1}}) == {
            "data": {"a": 1},
            "session": "user_7",
        }
        assert session.execute("hybrid_process", {"data": {}}) == {"error": ["empty"]}
    assert asked == [({"a": 1}, "user"), ({}, "user")]


def test_calling_tools_of_the_host(make_pool: Any, adapter: Adapter, line: str) -> None:
    source = "\n".join(
        [
            "from snakepit_bridge import BaseAdapter, tool",
            "class Caller(BaseAdapter):",
            "    @tool",
            *inside(
                snippet("Calling from Python") + "return result\n", "def run(self):"
            ).replace("\n", "\n    ").join(("    ", "")).splitlines(),
        ]
    )
    pool = make_pool(adapter(source, "Caller"), size=1, line=line)
    asked: list[Any] = []

    def calculate_hash(params: dict[str, Any]) -> dict[str, str]:
        asked.append(params)
        digest = hashlib.sha256(params["data"].encode()).hexdigest().upper()
        return {"hash": digest, "algorithm": "sha256"}

    pool.register_tool("calculate_hash", calculate_hash, params="mapping")
    result = pool.execute("run")
    assert result["hash"].startswith("2CF24DBA5FB0A30E")
    assert result["algorithm"] == "sha256"
    assert asked == [{"data": "hello"}] * 2, "once by name, once by the proxy"
