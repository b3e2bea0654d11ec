"""The live view with clients that are not ours: GStreamer's WebRTC, and Firefox."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from mesh.http import serve_web
from mesh.ice import offer_loopback
from tests.contract.anonymizer import firefox, harness, viewers
from tests.contract.anonymizer.test_live_view import feeding, permit

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.authority import CertificateAuthority

offer_loopback()

PICTURES = 10
PAGE = """<!doctype html><title>viewer</title><video autoplay muted></video><script>
async function watch(url, token, pictures) {
  const peer = new RTCPeerConnection();
  const {receiver} = peer.addTransceiver("video", {direction: "recvonly"});
  document.querySelector("video").srcObject = new MediaStream([receiver.track]);
  await peer.setLocalDescription(await peer.createOffer());
  while (peer.iceGatheringState !== "complete") await new Promise(done => setTimeout(done, 50));
  const headers = {Authorization: `Bearer ${token}`, "Content-Type": "application/sdp"};
  const answer = await fetch(url, {method: "POST", headers, body: peer.localDescription.sdp});
  if (answer.status !== 201) return `${answer.status} ${await answer.text()}`;
  await peer.setRemoteDescription({type: "answer", sdp: await answer.text()});
  for (;;) {
    await new Promise(done => setTimeout(done, 100));
    for (const {type, framesDecoded, frameWidth, frameHeight} of (await peer.getStats()).values())
      if (type === "inbound-rtp" && framesDecoded >= pictures) return `${frameWidth} ${frameHeight}`;
  }
}
</script>"""


@pytest.mark.gstreamer
async def test_gstreamer_watches(authority: CertificateAuthority) -> None:
    if viewers.gstreamer_is_missing():
        pytest.skip(f"needs Debian packages {viewers.GSTREAMER_PACKAGES}")
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        viewing = await permit(anonymizer)
        viewer = await asyncio.create_subprocess_exec(
            viewers.SYSTEM_PYTHON, viewers.GSTREAMER_VIEWER, viewing.whep_url, str(PICTURES),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            shown, _ = await viewer.communicate(f"{viewing.token}\n".encode())
        finally:
            if viewer.returncode is None:
                viewer.kill()

    assert shown.decode().split("\n")[:-1] == [f"{harness.WIDTH} {harness.HEIGHT}"] * PICTURES


@pytest.mark.browser
@pytest.mark.skipif(firefox.BINARY is None, reason="needs Firefox: firefox-esr")
@pytest.mark.skipif(not firefox.PLUGIN, reason="needs Firefox's plug-in for H.264: ARGO_FIREFOX_OPENH264=folder")
async def test_firefox_watches(authority: CertificateAuthority, tmp_path: Path) -> None:
    async def show(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    page = web.Application()
    page.router.add_get("/", show)
    async with serve_web(page, "127.0.0.1:0") as address:
        origin = f"http://{address}"
        async with harness.running(authority, console=origin) as anonymizer, feeding(anonymizer):
            viewing = await permit(anonymizer)
            async with firefox.firefox(tmp_path) as browser:
                await browser.open(origin)
                shown = await browser.evaluate(
                    f"watch({json.dumps(viewing.whep_url)}, {json.dumps(viewing.token)}, {PICTURES})"
                )

    assert shown == f"{harness.WIDTH} {harness.HEIGHT}"
