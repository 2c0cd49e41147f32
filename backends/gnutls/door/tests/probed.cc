// A program that knows nothing of the rig: two sessions of GnuTLS in one event loop. Its argument is the mistake that
// it makes, or "none". It is what `tlsrig probe` is tested on.
#include <gnutls/gnutls.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

int ends[2];

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "probed: %s\n", what);
  std::exit(9);
}

gnutls_session_t session(unsigned flags, gnutls_certificate_credentials_t credentials, int descriptor) {
  gnutls_session_t made = nullptr;
  gnutls_init(&made, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
  gnutls_set_default_priority(made);
  gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, credentials);
  gnutls_transport_set_int(made, descriptor);
  return made;
}

void wait_for_input() {
  pollfd set[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}};
  poll(set, 2, 10);
}

void shake_hands(gnutls_session_t client, gnutls_session_t server) {
  bool client_done = false;
  bool server_done = false;
  for (int turn = 0; turn < 100 && !(client_done && server_done); ++turn) {
    client_done = client_done || gnutls_handshake(client) == 0;
    server_done = server_done || gnutls_handshake(server) == 0;
    wait_for_input();
  }
  if (!client_done || !server_done) {
    give_up("no handshake");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    give_up("usage: probed MISTAKE CERTIFICATE KEY");
  }
  const std::string_view mistake = argv[1];
  gnutls_certificate_credentials_t client_credentials = nullptr;
  gnutls_certificate_credentials_t server_credentials = nullptr;
  gnutls_certificate_allocate_credentials(&client_credentials);
  gnutls_certificate_allocate_credentials(&server_credentials);
  if (gnutls_certificate_set_x509_key_file(server_credentials, argv[2], argv[3], GNUTLS_X509_FMT_PEM) < 0 ||
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
    give_up("no certificate, or no sockets");
  }
  gnutls_session_t const client = session(GNUTLS_CLIENT, client_credentials, ends[0]);
  gnutls_session_t const server = session(GNUTLS_SERVER, server_credentials, ends[1]);
  shake_hands(client, server);
  gnutls_record_send(server, "twenty bytes of text", 20);
  char data[100];
  ssize_t got = 0;
  do {
    wait_for_input();
    got = gnutls_record_recv(client, data, mistake == "pending" ? 1 : sizeof data);
  } while (got > 0);
  gnutls_bye(client, GNUTLS_SHUT_WR);
  if (mistake == "deinit") {
    gnutls_global_deinit();
  }
  gnutls_deinit(client);
  gnutls_deinit(server);
  gnutls_certificate_free_credentials(client_credentials);
  gnutls_certificate_free_credentials(server_credentials);
  close(ends[0]);
  close(ends[1]);
  return mistake == "own_code" ? 7 : 0;
}
