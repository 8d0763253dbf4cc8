"""The grpcio end of the line: for interpreters that cannot load the native one.

.. code-block:: text

    process   become_worker ─▶ start_message               before `site`, single-threaded
    packages  are grpcio, msgpack and protobuf there?
    line      connect ─▶ Hello ─▶ Initialize               main thread
    inbox     frame ─▶ the main thread, or who waits for a host tool
    serve     frame ─▶ decode ─▶ tool ─▶ encode ─▶ outbox  main thread: the only one for tools
    stream    the chunks of a call, within its window      main thread
    jobs      calls of which several run at once           threads of the SDK, or its loop
    control   socket ─▶ cancel, grant, probe, host's end   own thread
    outlet    what the adapter tells                       whoever tells
    outbox    frames and items ─▶ gRPC                     gRPC's thread for requests

What both ends do is the same and tested by the same tests; the native one
(``crates/py/src/worker``) says why. Slower, and without the shared page: a host prefetches no calls
here.

Needs Python 3.10, grpcio, msgpack and protobuf. Nothing of the SDK outside of this package and
``_values`` imports any of them.
"""
