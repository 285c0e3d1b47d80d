"""Functions of libcrypto and libc that the compiled kernel calls, declared by their names.

Numba can keep code that names functions on disk, which it cannot with addresses; `relay.fanout.libcrypto` loads the
library before the first call.
"""

from __future__ import annotations

from typing import Any

from numba import types

# Numba's own annotations take these for types; called with the library loaded, they are functions.
_External = Any
_INT_POINTER: Any = types.CPointer(types.int32)  # type: ignore[no-untyped-call]  # Numba leaves it so
_P, _I = types.intp, types.int32
encrypt_init: _External = types.ExternalFunction("EVP_EncryptInit_ex", _I(_P, _P, _P, _P, _P))
encrypt_update: _External = types.ExternalFunction("EVP_EncryptUpdate", _I(_P, _P, _P, _P, _I))
encrypt_final: _External = types.ExternalFunction("EVP_EncryptFinal_ex", _I(_P, _P, _P))
cipher_ctrl: _External = types.ExternalFunction("EVP_CIPHER_CTX_ctrl", _I(_P, _I, _I, _P))
sha1_update: _External = types.ExternalFunction("SHA1_Update", _I(_P, _P, _P))
sha1_final: _External = types.ExternalFunction("SHA1_Final", _I(_P, _P))
sendmsg: _External = types.ExternalFunction("sendmsg", _P(_I, _P, _I))
errno_location: _External = types.ExternalFunction("__errno_location", _INT_POINTER())
memcpy: _External = types.ExternalFunction("memcpy", _P(_P, _P, _P))
