"""An RTSP camera by GStreamer's RTSP server; run by the system's Python, which has its bindings. Prints its port.

Usage: gstreamer_camera.py {h264,h265} [--user NAME --password WORD [--basic]] [--width W --height H --rate FPS]
    [--only {udp,tcp}] [--certificate PEM]
"""

from __future__ import annotations

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
gi.require_version("GstRtsp", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph265pay name=pay0 pt=96",
}


TRANSPORTS = {"udp": GstRtsp.RTSPLowerTrans.UDP, "tcp": GstRtsp.RTSPLowerTrans.TCP}


def protect(auth: GstRtspServer.RTSPAuth, factory: GstRtspServer.RTSPMediaFactory, options: argparse.Namespace) -> None:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if not options.user:
        auth.set_default_token(token)
    elif options.basic:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password, token)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("codec", choices=sorted(ENCODERS))
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--basic", action="store_true")
    parser.add_argument("--only", choices=sorted(TRANSPORTS))
    parser.add_argument("--certificate")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--rate", type=int, default=15)
    return parser.parse_args()


def main() -> None:
    options = read_options()
    Gst.init(None)
    size = f"video/x-raw,width={options.width},height={options.height},framerate={options.rate}/1"
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( videotestsrc is-live=true pattern=ball ! {size} ! {ENCODERS[options.codec]} "
        "audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay1 pt=8 )"
    )
    # A shared pipeline refuses a second client while the first has left the audio out.
    factory.set_shared(False)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    if options.only is not None:
        factory.set_protocols(TRANSPORTS[options.only])
    if options.user or options.certificate:
        auth = GstRtspServer.RTSPAuth()
        if options.certificate:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.certificate))
        protect(auth, factory, options)
        server.set_auth(auth)
    server.get_mount_points().add_factory("/stream", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


main()
