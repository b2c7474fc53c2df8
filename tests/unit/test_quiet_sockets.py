"""Sockets that are polled by one descriptor: nothing that has come is left lying."""

import zmq

from nowcast_cli.broker.quiet_sockets import QuietSockets


def test_what_has_come_is_seen_also_where_another_device_uses_the_socket_after_the_poll(tmp_path):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as here:
        here.bind(f"ipc://{tmp_path / 'here'}")
        heard = []
        quiet = QuietSockets()
        quiet.add(here, lambda: heard.append(here.recv_multipart(zmq.NOBLOCK)[1]))

        def turn():
            quiet.work(zmq.zmq_poll(quiet.waits_for(), 1000))

        with context.socket(zmq.DEALER) as there:
            there.connect(f"ipc://{tmp_path / 'here'}")
            there.send(b"one")
            while not heard:
                turn()
            turn()
            ready = zmq.zmq_poll(quiet.waits_for(), 0)
            there.send(b"two")
            assert here.poll(5000)  # sees that it has come: no descriptor tells of it again
            quiet.use(here)
            quiet.work(ready)
            turn()
        quiet.remove(here)
        quiet.close()
    assert heard == [b"one", b"two"]
