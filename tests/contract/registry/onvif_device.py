"""An ONVIF device over loopback: SOAP 1.2 by the public WSDLs, WS-Security digest, faults, and common mistakes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web
from lxml import etree

_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_NAMESPACES = (
    'xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" '
    'xmlns:tr2="http://www.onvif.org/ver20/media/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema" '
    'xmlns:ter="http://www.onvif.org/ver10/error"'
)
_OPEN_TO_ALL = {"GetSystemDateAndTime", "GetServices", "GetCapabilities"}
"""Of the access class PRE_AUTH (ONVIF Core, section 5.9.4.3)."""


@dataclass
class OnvifDevice:
    """A four-lens camera with a main and a sub stream per lens.

    Attributes:
        port: TCP port of HTTP; set when it runs.
        password: of the user ``argo``; empty: it asks for none.
        media2: whether it offers Media2 besides Media.
        get_services: whether it knows GetServices, which came with ONVIF 2.1.
        clock_offset: its clock minus the true time.
        stream_host: to which its stream URIs point.
        service_host: to which its service addresses point.
        firmware: its version.
        https: whether it serves HTTPS, too.
        tls: with which it speaks HTTPS only; None: HTTP only.
        redirect: where it sends whoever asks for device information; empty: nowhere.
        calls: names of operations with whether they were signed, in order.
    """

    port: int = 0
    password: str = "corretto-cavallo"
    media2: bool = True
    get_services: bool = True
    clock_offset: timedelta = timedelta(0)
    stream_host: str = "127.0.0.1"
    service_host: str = "127.0.0.1"
    firmware: str = "5.3.0"
    https: bool = True
    tls: ssl.SSLContext | None = None
    redirect: str = ""
    calls: list[tuple[str, bool]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[OnvifDevice]:
        app = web.Application()
        app.router.add_post("/onvif/{service}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        envelope = etree.fromstring(await request.read())
        operation = envelope.find(f"{{{_SOAP}}}Body")[0]
        name = etree.QName(operation).localname
        signed = self._signed(envelope)
        self.calls.append((name, signed))
        if self.redirect and name == "GetDeviceInformation":
            return web.Response(status=307, headers={"Location": self.redirect})
        if name not in _OPEN_TO_ALL and self.password and not signed:
            return _fault("ter:NotAuthorized", "Sender not Authorized", status=400)
        answers: Mapping[str, Callable[[etree._Element], str]] = {
            "GetDeviceInformation": self._information,
            "GetSystemDateAndTime": self._time,
            "GetServices": self._services,
            "GetCapabilities": self._capabilities,
            "GetNetworkProtocols": self._protocols,
            "GetProfiles": self._profiles,
            "GetStreamUri": self._stream_uri,
        }
        if name not in answers or (name == "GetServices" and not self.get_services):
            return _fault("ter:ActionNotSupported", "Optional Action Not Implemented", status=500)
        return _soap(answers[name](operation))

    def _signed(self, envelope: etree._Element) -> bool:
        """WS-Security UsernameToken Profile 1.0: digest = SHA-1 of nonce, time and password."""
        token = envelope.find(f".//{{{_WSSE}}}UsernameToken")
        if token is None:
            return False
        nonce = base64.b64decode(token.findtext(f"{{{_WSSE}}}Nonce") or "")
        created = token.findtext(f"{{{_WSU}}}Created") or ""
        expected = hashlib.sha1(nonce + created.encode() + self.password.encode(), usedforsecurity=False).digest()
        given = token.findtext(f"{{{_WSSE}}}Password") or ""
        return token.findtext(f"{{{_WSSE}}}Username") == "argo" and base64.b64decode(given) == expected

    def _information(self, _operation: etree._Element) -> str:
        return (
            "<tds:GetDeviceInformationResponse><tds:Manufacturer>Panoptes</tds:Manufacturer><tds:Model>Q4</tds:Model>"
            f"<tds:FirmwareVersion>{self.firmware}</tds:FirmwareVersion><tds:SerialNumber>Q400042</tds:SerialNumber>"
            "<tds:HardwareId>1</tds:HardwareId></tds:GetDeviceInformationResponse>"
        )

    def _time(self, _operation: etree._Element) -> str:
        now = datetime.now(UTC) + self.clock_offset
        return (
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
            "<tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime>"
            f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute><tt:Second>{now.second}</tt:Second></tt:Time>"
            f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day></tt:Date>"
            "</tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )

    def _services(self, _operation: etree._Element) -> str:
        names = {"ver10/device/wsdl": "device_service", "ver10/media/wsdl": "media_service"}
        if self.media2:
            names["ver20/media/wsdl"] = "media2_service"
        services = "".join(
            f"<tds:Service><tds:Namespace>http://www.onvif.org/{namespace}</tds:Namespace>"
            f"<tds:XAddr>{self._address(path)}</tds:XAddr>"
            "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
            for namespace, path in names.items()
        )
        return f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"

    def _capabilities(self, _operation: etree._Element) -> str:
        return (
            f"<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Media><tt:XAddr>{self._address('media_service')}</tt:XAddr>"
            "<tt:StreamingCapabilities/></tt:Media></tds:Capabilities></tds:GetCapabilitiesResponse>"
        )

    def _address(self, path: str) -> str:
        return f"http://{self.service_host}:{self.port}/onvif/{path}"

    def _protocols(self, _operation: etree._Element) -> str:
        return (
            "<tds:GetNetworkProtocolsResponse><tds:NetworkProtocols><tt:Name>HTTPS</tt:Name>"
            f"<tt:Enabled>{str(self.https).lower()}</tt:Enabled><tt:Port>443</tt:Port>"
            "</tds:NetworkProtocols></tds:GetNetworkProtocolsResponse>"
        )

    def _profiles(self, operation: etree._Element) -> str:
        sizes = {"main": (2560, 1440), "sub": (640, 360)}
        second = etree.QName(operation).namespace.endswith("ver20/media/wsdl")
        profiles = "".join(
            (_profile_of_media2 if second else _profile_of_media)(f"{kind}{lens}", lens, *size)
            for lens in range(1, 5)
            for kind, size in sizes.items()
        )
        prefix = "tr2" if second else "trt"
        return f"<{prefix}:GetProfilesResponse>{profiles}</{prefix}:GetProfilesResponse>"

    def _stream_uri(self, operation: etree._Element) -> str:
        namespace = etree.QName(operation).namespace
        token = operation.findtext(f"{{{namespace}}}ProfileToken") or ""
        number = f"{token[-1]}0{1 if token.startswith('main') else 2}"
        uri = f"rtsp://{self.stream_host}:554/Streaming/Channels/{number}"
        if namespace.endswith("ver20/media/wsdl"):
            return f"<tr2:GetStreamUriResponse><tr2:Uri>{uri}</tr2:Uri></tr2:GetStreamUriResponse>"
        return (
            f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{uri}</tt:Uri><tt:InvalidAfterConnect>false"
            "</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
            "</trt:MediaUri></trt:GetStreamUriResponse>"
        )


def _profile_of_media2(token: str, lens: int, width: int, height: int) -> str:
    return (
        f'<tr2:Profiles token="{token}" fixed="true"><tr2:Name>{token}</tr2:Name><tr2:Configurations>'
        f'<tr2:VideoSource token="v{lens}"><tt:Name>v{lens}</tt:Name><tt:UseCount>2</tt:UseCount>'
        f'<tt:SourceToken>lens{lens}</tt:SourceToken><tt:Bounds x="0" y="0" width="2560" height="1440"/>'
        "</tr2:VideoSource>"
        f'<tr2:VideoEncoder token="e{token}"><tt:Name>e</tt:Name><tt:UseCount>1</tt:UseCount>'
        "<tt:Encoding>H265</tt:Encoding>"
        f"<tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
        "<tt:Quality>5</tt:Quality></tr2:VideoEncoder></tr2:Configurations></tr2:Profiles>"
    )


def _profile_of_media(token: str, lens: int, width: int, height: int) -> str:
    return (
        f'<trt:Profiles token="{token}" fixed="true"><tt:Name>{token}</tt:Name>'
        f'<tt:VideoSourceConfiguration token="v{lens}"><tt:Name>v{lens}</tt:Name><tt:UseCount>2</tt:UseCount>'
        f'<tt:SourceToken>lens{lens}</tt:SourceToken><tt:Bounds x="0" y="0" width="2560" height="1440"/>'
        f'</tt:VideoSourceConfiguration><tt:VideoEncoderConfiguration token="e{token}"><tt:Name>e</tt:Name>'
        f"<tt:UseCount>1</tt:UseCount><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width>"
        f"<tt:Height>{height}</tt:Height></tt:Resolution><tt:Quality>5</tt:Quality><tt:Multicast><tt:Address>"
        "<tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address><tt:Port>0</tt:Port><tt:TTL>0</tt:TTL>"
        "<tt:AutoStart>false</tt:AutoStart></tt:Multicast><tt:SessionTimeout>PT60S</tt:SessionTimeout>"
        "</tt:VideoEncoderConfiguration></trt:Profiles>"
    )


def _soap(body: str, status: int = 200) -> web.Response:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{_SOAP}" {_NAMESPACES}>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )
    return web.Response(text=text, content_type="application/soap+xml", status=status)


def _fault(subcode: str, reason: str, *, status: int) -> web.Response:
    return _soap(
        f"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason></s:Fault>',
        status,
    )
