"""OpenSSL's libcrypto, for keys that the compiled kernel encrypts with.

The kernel names its functions and LLVM resolves them; contexts are made here through the very same addresses, so that
two copies of OpenSSL in one process can never meet. The library is the system's: those inside Python packages are
linked statically and cannot be called. For HMAC-SHA-1 the states after the padded keys are computed once per peer
(RFC 2104 section 4), with the plain SHA1 functions: a state is 96 octets that the kernel copies, where EVP_MAC
allocates twice for every packet.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import struct
import sys
from collections.abc import Callable
from typing import NamedTuple

from relay.core.srtp import SessionKeys, SrtpProfile
from relay.errors import RelayError
from relay.fanout.layout import HMAC_STATE_BYTES

_BLOCK_BYTES = 64  # of SHA-1
_NAMES = ("libcrypto.so.3", "libcrypto.so.1.1")
_CIPHERS = {
    SrtpProfile.AEAD_AES_128_GCM: "EVP_aes_128_gcm",
    SrtpProfile.AEAD_AES_256_GCM: "EVP_aes_256_gcm",
    SrtpProfile.AES128_CM_SHA1_80: "EVP_aes_128_ctr",
}
_USED_BY_THE_KERNEL = (
    "EVP_EncryptUpdate",
    "EVP_EncryptFinal_ex",
    "EVP_CIPHER_CTX_ctrl",
    "memcpy",
    "sendmsg",
    "__errno_location",
)


class KernelUnavailableError(RelayError):
    """The compiled kernel cannot run here; the reference can.

    Attributes:
        reason: one short clause.
    """

    code = "kernel_unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the compiled fan-out cannot run here: {reason}")
        self.reason = reason


class PeerKeys(NamedTuple):
    """What a peer has for one of RTP and RTCP.

    Attributes:
        cipher: from `LibCrypto.new_cipher`; whoever holds this frees it.
        salt: session salt.
        hmac_states: from `LibCrypto.hmac_states`.
    """

    cipher: int
    salt: bytes
    hmac_states: bytes


class LibCrypto:
    """What is needed of libcrypto outside the kernel."""

    def __init__(self) -> None:
        """Load the library and find every function.

        Raises:
            KernelUnavailableError: no libcrypto, or one without these functions, or no 64-bit Linux.
        """
        if struct.calcsize("P") != 8 or sys.byteorder != "little" or not sys.platform.startswith("linux"):
            raise KernelUnavailableError("structures are laid out for a 64-bit little-endian Linux")
        try:
            from llvmlite import binding  # noqa: PLC0415 (a relay without it serves by the reference)
        except ImportError as error:
            raise KernelUnavailableError(f"llvmlite is missing: {error}") from error
        _load(binding.load_library_permanently)
        self._address_of: Callable[[str], int | None] = binding.address_of_symbol
        for name in _USED_BY_THE_KERNEL:
            self._address(name)
        pointer, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
        self._new = self._function("EVP_CIPHER_CTX_new", pointer)
        self._free = self._function("EVP_CIPHER_CTX_free", None, pointer)
        self._init = self._function("EVP_EncryptInit_ex", number, pointer, pointer, pointer, pointer, pointer)
        self._ciphers = {profile: self._function(name, pointer) for profile, name in _CIPHERS.items()}
        self._sha1_init = self._function("SHA1_Init", number, pointer)
        self._sha1_update = self._function("SHA1_Update", number, pointer, pointer, size)
        self._sha1_final = self._function("SHA1_Final", number, pointer, pointer)

    def new_keys(self, keys: SessionKeys, profile: SrtpProfile) -> PeerKeys:
        """All that the kernel needs to encrypt with these keys.

        Raises:
            MemoryError: see `new_cipher`.
        """
        return PeerKeys(self.new_cipher(keys, profile), keys.salt, self.hmac_states(keys.auth_key))

    def new_cipher(self, keys: SessionKeys, profile: SrtpProfile) -> int:
        """The address of an EVP_CIPHER_CTX with the encryption key set; give it to `free_cipher`.

        Raises:
            MemoryError: OpenSSL has none left, or refuses the cipher.
        """
        context = self._new()
        key = ctypes.create_string_buffer(keys.encryption_key, len(keys.encryption_key))
        try:
            if not context or self._init(context, self._ciphers[profile](), None, key, None) != 1:
                self._free(context)
                raise MemoryError(f"OpenSSL gives no context for {profile.value}")
        finally:
            ctypes.memset(key, 0, len(key))
        return int(context)

    def free_cipher(self, cipher: int) -> None:
        """Wipe the key and free the context; 0 is no context."""
        self._free(cipher)

    def hmac_states(self, auth_key: bytes) -> bytes:
        """The SHA_CTX after the inner padded key and the one after the outer (RFC 2104); zeros without a key."""
        if not auth_key:
            return bytes(HMAC_STATE_BYTES)
        block = auth_key.ljust(_BLOCK_BYTES, b"\0")
        return b"".join(self._sha1_state(bytes(octet ^ pad for octet in block)) for pad in (0x36, 0x5C))

    def _sha1_state(self, block: bytes) -> bytes:
        state = ctypes.create_string_buffer(HMAC_STATE_BYTES // 2)
        self._sha1_init(state)
        self._sha1_update(state, block, len(block))
        return state.raw

    def _function(self, name: str, result: type | None, *arguments: type) -> Callable[..., int]:
        function: Callable[..., int] = ctypes.CFUNCTYPE(result, *arguments)(self._address(name))
        return function

    def _address(self, name: str) -> int:
        address = self._address_of(name)
        if not address:
            raise KernelUnavailableError(f"libcrypto has no {name}")
        return int(address)


def _load(load: Callable[[str], None]) -> None:
    # The search comes last: it may start a compiler to ask where libraries are.
    for name in _NAMES:
        try:
            load(name)
        except RuntimeError:
            continue
        return
    found = ctypes.util.find_library("crypto")
    try:
        if found is not None:
            load(found)
            return
    except RuntimeError as error:
        raise KernelUnavailableError(f"libcrypto cannot be loaded: {error}") from error
    raise KernelUnavailableError("there is no libcrypto on this machine")
