"""Runs `tlsrig probe` as a person does, on programs that know nothing of it: each mistake is found, by its law alone
and with the place in the program, and a program without one is left in peace.

  probe_test.py TLSRIG CERTIFICATES PROGRAM...
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import unittest

TLSRIG, CERTIFICATES = sys.argv[1:3]
NAMES = {"probed_openssl": "OpenSSL", "probed_gnutls": "GnuTLS", "probed_mbedtls": "mbedTLS"}
PROGRAMS = {NAMES[os.path.basename(path)]: path for path in sys.argv[3:]}
CERTIFICATE = os.path.join(CERTIFICATES, "server.pem")
KEY = os.path.join(CERTIFICATES, "server.key.pem")
AUTHORITY = os.path.join(CERTIFICATES, "ca.pem")


def probe(program, *options, **more):
    return subprocess.run([TLSRIG, "probe", *options, "--", *program], capture_output=True, text=True, check=False,
                          timeout=120, **more)


class Probe(unittest.TestCase):
    def laws(self, library, mistake, *options):
        done = probe([PROGRAMS[library], mistake, CERTIFICATE, KEY], "--json", *options)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(done.returncode, 1 if found else 0, done.stderr)
        return sorted({violation["law"] for violation in found}), found

    def test_a_program_in_order_is_left_in_peace(self):
        for library in PROGRAMS:
            for options in ([], ["--poison"]):
                laws, found = self.laws(library, "none", *options)
                self.assertEqual(laws, [], found)

    def test_a_missing_clear_is_found_by_poison_with_its_place(self):
        self.assertEqual(self.laws("OpenSSL", "no_clear")[0], [])
        laws, found = self.laws("OpenSSL", "no_clear", "--poison")
        self.assertEqual(laws, ["H2"])
        self.assertIn("read_from", found[0]["message"])

    def test_each_mistake_is_found_by_its_law(self):
        for mistake, law in (("leftover", "H1"), ("over_clear", "H3"), ("pending", "L1"), ("double_close", "F1"),
                             ("foreign", "F1"), ("sigpipe", "P1")):
            with self.subTest(mistake=mistake):
                laws, found = self.laws("OpenSSL", mistake)
                self.assertEqual(laws, [law], found)
                self.assertEqual(len(found), 1, found)

    def test_the_mistakes_with_the_other_libraries(self):
        for library, mistake, law in (("GnuTLS", "pending", "L1"), ("GnuTLS", "deinit", "E3"),
                                      ("mbedTLS", "shorter", "E1")):
            if library not in PROGRAMS:
                continue
            with self.subTest(library=library, mistake=mistake):
                laws, found = self.laws(library, mistake)
                self.assertEqual(laws, [law], found)

    def test_the_report_for_a_person(self):
        done = probe([PROGRAMS["OpenSSL"], "leftover", CERTIFICATE, KEY])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"tlsrig probe: H1 \(a call leaves no ambient error behind\)\n"
                         r"  OpenSSL, thread 0: SSL_read left an entry in the error queue, found at poll: error:.*; "
                         r"left in .*read_from.* <- main.*\n")
        self.assertTrue(done.stderr.endswith("probed_openssl ended with 0\n"), done.stderr)

    def test_exit_codes(self):
        for library in PROGRAMS:
            done = probe([PROGRAMS[library], "own_code", CERTIFICATE, KEY])
            self.assertEqual(done.returncode, 7, done.stderr)
            self.assertIn(f"no violation in the use of {library};", done.stderr)
        done = probe(["/bin/echo", "said"])
        self.assertEqual((done.returncode, done.stdout), (3, "said\n"))
        self.assertIn("nothing was tested", done.stderr)
        done = probe(["./no_such_program"])
        self.assertEqual(done.returncode, 2)
        self.assertIn("tlsrig: './no_such_program' cannot be started: No such file", done.stderr)
        done = subprocess.run([TLSRIG, "probe"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("say which program to watch", done.stderr)

    def test_the_tools_of_the_libraries(self):
        """Each handshake is with a server of the test's own, which says when it listens."""
        tools = {"OpenSSL": ["openssl", "s_client", "-CAfile", AUTHORITY, "-brief", "-connect", "127.0.0.1:{port}"],
                 "GnuTLS": ["gnutls-cli", "--x509cafile", AUTHORITY, "-p", "{port}", "localhost"]}
        for library, command in tools.items():
            if library not in PROGRAMS or shutil.which(command[0]) is None:
                continue
            for options in ([], ["--poison"]):
                with Server() as port:
                    done = probe([word.format(port=port) for word in command], *options, input="")
                self.assertIn(f"no violation in the use of {library};", done.stderr)


class Server:
    """A TLS server of one connection, in a process of its own: it accepts, and reads until the end."""

    SOURCE = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.socket(fileno=0)
connection, _ = listener.accept()
tls = context.wrap_socket(connection, server_side=True)
while tls.recv(1000):
    pass
tls.close()
"""

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.process = subprocess.Popen([sys.executable, "-c", self.SOURCE, CERTIFICATE, KEY], stdin=listener,
                                            stderr=subprocess.DEVNULL)
            return listener.getsockname()[1]

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
