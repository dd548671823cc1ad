"""The node's name server: Services under their names, and hosts that a test adds. IPv4 alone; nothing is passed on."""

import socket
import struct
import threading
from collections.abc import Callable
from ipaddress import IPv4Address

_PORT = 53
_BYTES = 512
_SECONDS = 5  # to live: of Services, too, since tests make them anew
_A, _IN = 1, 1
_FOUND, _UNKNOWN = 0x8580, 0x8583  # an authoritative answer; and one that there is no such name


class Names:
    """Answers in a thread, until stopped.

    Attributes:
        hosts: address by name, added by tests.
    """

    def __init__(self, address: str, service: Callable[[str, str], str]) -> None:
        """Begin without listening.

        Args:
            address: where to listen.
            service: (namespace, name) → its cluster address, or nothing.
        """
        self.hosts: dict[str, str] = {}
        self._address = address
        self._service = service
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin to answer."""
        self._socket.bind((self._address, _PORT))
        self._socket.settimeout(0.2)
        self._thread.start()

    def stop(self) -> None:
        """End, whether it has begun or not."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                question, sender = self._socket.recvfrom(_BYTES)
            except TimeoutError:
                continue
            self._socket.sendto(self._answer(question), sender)

    def _answer(self, question: bytes) -> bytes:
        labels, end = [], 12
        while question[end]:
            labels.append(question[end + 1 : end + 1 + question[end]].decode())
            end += 1 + question[end]
        (kind,) = struct.unpack_from("!H", question, end + 1)
        address = self._find(labels)
        answers = int(bool(address) and kind == _A)
        head = question[:2] + struct.pack("!HHHHH", _FOUND if address else _UNKNOWN, 1, answers, 0, 0)
        record = struct.pack("!HHHIH", 0xC00C, _A, _IN, _SECONDS, 4) + IPv4Address(address).packed if answers else b""
        return head + question[12 : end + 5] + record

    def _find(self, labels: list[str]) -> str:
        match labels:
            case [name, namespace, "svc"] | [name, namespace, "svc", "cluster", "local"]:
                return self._service(namespace, name)
        return self.hosts.get(".".join(labels), "")
