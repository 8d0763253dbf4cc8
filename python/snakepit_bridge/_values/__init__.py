"""Values as they travel, in pure Python: the codec of the line's grpcio end.

``docs/values.md`` is the promise: what arrives as what, the extension types, the limits. The native
codec (``snakepit._core``) keeps it too, byte for byte; ``tests/codec`` runs over both.

.. code-block:: text

    encode ─┬─▶ _plain (msgpack's C code, plain values alone) ◀─┬─ decode
            └─▶ _encode (walk)            _decode (walk) ◀──────┘
                  ├─▶ _time, _number, _array ◀──┤
                  ├─▶ _interop: other libraries ◀┤
                  ├─▶ _outside: what travels beside the message ◀┘
                  └─▶ _refusal: what to send instead

Needs the ``msgpack`` package, which is why nothing else of the SDK imports this one. No policy
lives here: no pickle, no size limit of a message.
"""

from snakepit_bridge.errors import DecodeError, EncodeError

from ._decode import decode
from ._encode import encode
from ._outside import Outside

__all__ = ["DecodeError", "EncodeError", "Outside", "decode", "encode"]
