"""The messages of individual check-in between a hall's devices, a delegate's own, and who serves them: JSON over HTTPS.

A delegate is a number within a conference; names never pass here. See docs/protocol.md.
"""

from __future__ import annotations

from typing import Literal

CheckinMethod = Literal["qr", "typed", "self"]
"""How a delegate was checked in: code scanned, number and PIN typed, or by the delegate's own device."""

MarkKind = Literal["present", "excused", "unexcused", "exempt", "none", "void"]
"""What a technician says: có mặt, vắng có lý do, vắng không lý do, miễn sinh hoạt, chưa điểm danh, or that the scan of
this delegate is not to count (quét nhầm)."""
