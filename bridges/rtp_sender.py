"""Sends an `Encoding` over one peer connection, in place of the encoder that aiortc would start for it. Shell.

aiortc's sender owns an encoder, an SSRC and numbers of its own: two connections would be two streams. This one stands
in for two of its methods, on that object alone, and leaves negotiation, SRTP and routing of RTCP to aiortc.
"""

from __future__ import annotations

import contextlib
import struct

import pylibsrtp
from aiortc import RTCRtpCodecParameters, RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)

from bridges.encoding import Encoding
from bridges.rtp_stream import may_begin, with_payload_type

_CNAME = 1  # SDES item (RFC 3550 section 6.5.1)
_MAX_RESENDS_PER_NACK = 64  # a NACK can name thousands of packets in one datagram


class EncodingSender:
    """One encoding on one connection.

    Attributes:
        packets_sent: by RTP, resends too.
        bytes_sent: octets of their payloads.
        refused: the answer chose another codec than the one that runs.
        lower: senders of the encoding's smaller layers, once the connection is up.
    """

    def __init__(self, sender: RTCRtpSender, encoding: Encoding) -> None:
        """Take the sender of a transceiver of a connection that has made no offer yet."""
        self.packets_sent = 0
        self.bytes_sent = 0
        self.refused = False
        self._encoding = encoding
        self.lower: list[EncodingSender] = []
        self._sender = sender
        self._payload_type = -1
        self._cname = ""
        self._has_begun = False
        self._sender._ssrc = encoding.stream.ssrc  # noqa: SLF001 - offers name it, and there is no public setter
        self._sender.send = self._begin  # type: ignore[method-assign] # see the module's text
        self._sender._handle_rtcp_packet = self._handle_rtcp  # type: ignore[method-assign] # noqa: SLF001 - the same

    def close(self) -> None:
        """Send nothing more."""
        self._encoding.detach(self._send)
        for layer in self.lower:
            layer.close()

    @property
    def sent(self) -> tuple[int, int]:
        """Packets and octets of payload, with those of the smaller layers."""
        below = [layer.sent for layer in self.lower]
        return (
            self.packets_sent + sum(packets for packets, _ in below),
            self.bytes_sent + sum(octets for _, octets in below),
        )

    async def report(self) -> None:
        """Send a sender report (RFC 3550 section 6.4.1): the same clock pair on every connection."""
        for layer in self.lower:
            await layer.report()
        stream = self._encoding.stream
        if not self.packets_sent:
            return
        info = RtcpSenderInfo(
            ntp_timestamp=stream.last_ntp_timestamp,
            rtp_timestamp=stream.last_rtp_timestamp,
            packet_count=self.packets_sent & 0xFFFFFFFF,
            octet_count=self.bytes_sent & 0xFFFFFFFF,
        )
        name = RtcpSourceInfo(ssrc=stream.ssrc, items=[(_CNAME, self._cname.encode())])
        await self._transmit(bytes(RtcpSrPacket(stream.ssrc, info)) + bytes(RtcpSdesPacket([name])))

    async def _begin(self, parameters: RTCRtpSendParameters) -> None:
        """What aiortc calls once the connection is up, and again whenever it looks."""
        if self._payload_type >= 0:
            return
        codec: RTCRtpCodecParameters = parameters.codecs[0]
        self._payload_type = codec.payloadType or 0
        self._cname = parameters.rtcp.cname or ""
        self._sender.transport._register_rtp_sender(self._sender, parameters)  # noqa: SLF001 - as its own `send` does
        self.refused = not self._encoding.attach(self._send, codec)
        for encoding in self._encoding.lower:
            # aiortc knows one stream to a transceiver; the others share its transport, which is known only now.
            layer = EncodingSender(RTCRtpSender("video", self._sender.transport), encoding)
            self.lower.append(layer)
            await layer._begin(parameters)

    async def _send(self, packet: bytes) -> None:
        if not self._has_begun:
            if not may_begin(packet):
                return
            self._has_begun = True
        await self._transmit(with_payload_type(packet, self._payload_type))
        self.packets_sent += 1
        self.bytes_sent += len(packet) - 12

    async def _transmit(self, packet: bytes) -> None:
        # A connection that is down is noticed elsewhere, and the other ones go on; SRTP refuses what is too old.
        with contextlib.suppress(ConnectionError, pylibsrtp.Error):
            await self._sender.transport._send_rtp(packet)  # noqa: SLF001 - there is no public way to send

    async def _handle_rtcp(self, packet: AnyRtcpPacket) -> None:
        """What the transport routes here."""
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            for number in packet.lost[:_MAX_RESENDS_PER_NACK]:
                found = self._encoding.stream.find(number)
                if found is not None and self._has_begun:
                    await self._send(found)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt in {RTCP_PSFB_FIR, RTCP_PSFB_PLI}:
            self._encoding.request_keyframe()
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            with contextlib.suppress(ValueError, struct.error):
                bitrate_bps, ssrcs = unpack_remb_fci(packet.fci)
                if self._encoding.stream.ssrc in ssrcs:
                    self._encoding.limit_bitrate(self._send, bitrate_bps)
