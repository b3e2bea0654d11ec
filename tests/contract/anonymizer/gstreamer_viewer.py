"""Somebody who watches with GStreamer, by the system's own Python: prints the size of each of so many decoded pictures.

Usage: gstreamer_viewer.py WHEP_URL PICTURES < TOKEN
"""

from __future__ import annotations

import sys
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402 - after the versions are settled

H264 = "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,packetization-mode=(string)1"
DECODING = (
    "queue ! rtph264depay ! video/x-h264,stream-format=byte-stream,alignment=nal ! h264parse ! openh264dec"
    " ! appsink name=shown emit-signals=true sync=false"
)


class Viewer:
    """One WHEP session: offers, posts, and decodes what comes."""

    def __init__(self, url: str, token: str, pictures: int) -> None:
        self.loop = GLib.MainLoop()
        self._url, self._token, self._left = url, token, pictures
        self._pipeline = Gst.Pipeline.new()
        self._peer = Gst.ElementFactory.make("webrtcbin")
        self._peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self._pipeline.add(self._peer)
        self._peer.connect("pad-added", self._show)
        self._peer.connect("notify::ice-gathering-state", self._post)
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
        self._peer.emit("add-transceiver", direction, Gst.Caps.from_string(H264))
        self._pipeline.set_state(Gst.State.PLAYING)
        self._peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self._offer, None))

    def _offer(self, promise: Gst.Promise, _data: object) -> None:
        self._reply = promise.get_reply()  # owns the offer
        self._peer.emit("set-local-description", self._reply.get_value("offer"), Gst.Promise.new())

    def _post(self, _peer: Gst.Element, _state: object) -> None:
        """WHEP without trickling: the offer goes once all candidates are in it."""
        if self._peer.get_property("ice-gathering-state") is GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            GLib.idle_add(self._exchange)

    def _exchange(self) -> bool:
        offer = self._peer.get_property("local-description").sdp.as_text().encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/sdp"}
        with urllib.request.urlopen(urllib.request.Request(self._url, offer, headers)) as response:  # noqa: S310
            answer = response.read()
        _, message = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(answer, message)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self._peer.emit("set-remote-description", description, Gst.Promise.new())
        return False

    def _show(self, _peer: Gst.Element, pad: Gst.Pad) -> None:
        decoding = Gst.parse_bin_from_description(DECODING, True)
        decoding.get_by_name("shown").connect("new-sample", self._count)
        self._pipeline.add(decoding)
        decoding.sync_state_with_parent()
        pad.link(decoding.get_static_pad("sink"))

    def _count(self, sink: Gst.Element) -> Gst.FlowReturn:
        shape = sink.emit("pull-sample").get_caps().get_structure(0)
        if self._left:  # more may come until the loop has ended
            print(shape.get_value("width"), shape.get_value("height"), flush=True)
            self._left -= 1
        else:
            self.loop.quit()
        return Gst.FlowReturn.OK


Gst.init(None)
Viewer(sys.argv[1], sys.stdin.readline().strip(), int(sys.argv[2])).loop.run()
