// A program that knows nothing of the rig: two sessions of OpenSSL in one event loop. Its argument is the mistake that
// it makes, or "none". It is what `tlsrig probe` is tested on.
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

std::string_view mistake;
int ends[2];
SSL* client = nullptr;
SSL* server = nullptr;

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "probed: %s\n", what);
  std::exit(9);
}

SSL* session(SSL_CTX* context, int descriptor) {
  SSL* const ssl = SSL_new(context);
  SSL_set_fd(ssl, descriptor);
  return ssl;
}

void set_up(const char* certificate, const char* key) {
  SSL_CTX* const client_context = SSL_CTX_new(TLS_client_method());
  SSL_CTX* const server_context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_file(server_context, certificate, SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(server_context, key, SSL_FILETYPE_PEM) != 1) {
    give_up("the certificate cannot be read");
  }
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
    give_up("no sockets");
  }
  client = session(client_context, ends[0]);
  server = session(server_context, ends[1]);
  SSL_set_connect_state(client);
  SSL_set_accept_state(server);
  SSL_CTX_free(client_context);
  SSL_CTX_free(server_context);
}

// wait_for_input is the loop's one place to wait.
void wait_for_input() {
  pollfd set[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}};
  poll(set, 2, 10);
}

// read_from is how a layer reads: clear, read, ask, and take the report out.
int read_from(SSL* ssl, char* data, int bytes) {
  if (mistake != "no_clear") {
    ERR_clear_error();
  }
  const int got = SSL_read(ssl, data, bytes);
  if (mistake == "over_clear") {
    ERR_clear_error();
  }
  const int answer = SSL_get_error(ssl, got);
  if (mistake != "leftover" && mistake != "no_clear") {
    ERR_clear_error();
  }
  return got > 0 ? got : -answer;
}

void shake_hands() {
  for (int turn = 0; turn < 100 && (SSL_is_init_finished(client) == 0 || SSL_is_init_finished(server) == 0); ++turn) {
    ERR_clear_error();
    SSL_do_handshake(client);
    ERR_clear_error();
    SSL_do_handshake(server);
    wait_for_input();
  }
}

// talk has the server say something and the client listen until nothing is left.
void talk() {
  char data[100];
  ERR_clear_error();
  if (SSL_write(server, "twenty bytes of text", 20) != 20) {
    give_up("the server cannot write");
  }
  const int bytes = mistake == "pending" ? 1 : sizeof data;
  do {
    wait_for_input();
  } while (read_from(client, data, bytes) > 0);
}

// fail has the client meet bytes that are no record.
void fail() {
  char data[100];
  if (send(ends[1], "no record of TLS at all", 23, MSG_NOSIGNAL) < 0) {
    give_up("nothing can be sent");
  }
  wait_for_input();
  read_from(client, data, sizeof data);
  wait_for_input();
}

// end closes in order; each of the mistakes about descriptors is one step in the wrong place.
void end() {
  const bool failing = mistake == "over_clear" || mistake == "leftover";
  if (mistake == "foreign") {
    close(ends[0]);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
      give_up("no sockets");
    }
  }
  if (mistake == "sigpipe") {
    close(ends[1]);
  }
  if (!failing) {
    ERR_clear_error();
    SSL_shutdown(client);
  }
  ERR_clear_error();
  SSL_free(client);
  SSL_free(server);
  close(ends[0]);
  close(ends[1]);
  if (mistake == "double_close") {
    close(ends[0]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    give_up("usage: probed MISTAKE CERTIFICATE KEY");
  }
  mistake = argv[1];
  signal(SIGPIPE, mistake == "sigpipe" ? SIG_DFL : SIG_IGN);
  set_up(argv[2], argv[3]);
  shake_hands();
  talk();
  if (mistake == "over_clear" || mistake == "leftover") {
    fail();
  }
  end();
  return mistake == "own_code" ? 7 : 0;
}
