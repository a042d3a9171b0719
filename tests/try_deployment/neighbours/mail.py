"""`python -m tests.try_deployment.neighbours.mail` takes mail at port 587, by STARTTLS and with a log-in.

It prints each mail as a line of JSON. Its certificate is in the folder `/neighbour`.
"""

from __future__ import annotations

import asyncio
import json
import ssl

from tests.support.mail_server import mail_server

LOGIN = ("user", "password")
PORT = 587


async def serve() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("/neighbour/certificate.pem", "/neighbour/key.pem")
    async with mail_server(login=LOGIN, starttls=context, host="0.0.0.0", port=PORT) as server:
        print(json.dumps({"listens": server.port}), flush=True)
        told = 0
        while True:
            await server.arrived.wait()
            server.arrived.clear()
            for mail in server.received[told:]:
                text = mail.message.get_body(("plain",))
                line = {
                    "to": mail.recipients,
                    "user": mail.user,
                    "is_over_tls": mail.is_over_tls,
                    "text": text.get_content() if text is not None else "",
                }
                print(json.dumps(line), flush=True)
            told = len(server.received)


if __name__ == "__main__":
    asyncio.run(serve())
