#include "harness/subjects/canary/misuser.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>

#include "harness/base/check.h"

namespace rig {
namespace {

struct Free {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Session = std::unique_ptr<SSL, Free>;
using Context = std::unique_ptr<SSL_CTX, Free>;

const rig_subject* inner_subject = nullptr;
Misuse chosen = Misuse::none;

Session session(bool server) {
  const Context context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  // Without certificates: what the session is for is its errors.
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  RIG_CHECK(SSL_CTX_set_cipher_list(context.get(), "ADH-AES128-SHA256:@SECLEVEL=0") == 1);
  SSL_CTX_set_dh_auto(context.get(), 1);
  Session made(SSL_new(context.get()));
  server ? SSL_set_accept_state(made.get()) : SSL_set_connect_state(made.get());
  return made;
}

// Pair is a client that has shaken hands, and its server.
struct Pair {
  Session client = session(false);
  Session server = session(true);
  std::array<int, 2> ends{};

  Pair() {
    RIG_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    SSL_set_fd(client.get(), ends[0]);
    SSL_set_fd(server.get(), ends[1]);
    for (int turn = 0; turn < 10; ++turn) {
      ERR_clear_error();
      SSL_do_handshake(client.get());
      ERR_clear_error();
      SSL_do_handshake(server.get());
    }
    RIG_CHECK(SSL_is_init_finished(client.get()) == 1);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    client.reset();
    server.reset();
    ::close(ends[0]);
    ::close(ends[1]);
  }
};

void wait_for_input(const Pair& pair) {
  pollfd polled{.fd = pair.ends[0], .events = POLLIN, .revents = 0};
  ::poll(&polled, 1, 1);
}

// read_and_wait has the peer send `sent` bytes, reads `read` of them, and waits for more.
void read_and_wait(const Pair& pair, int sent, int read) {
  std::array<char, 100> bytes{};
  ERR_clear_error();
  RIG_CHECK(SSL_write(pair.server.get(), bytes.data(), sent) == sent);
  ERR_clear_error();
  RIG_CHECK(SSL_read(pair.client.get(), bytes.data(), read) == read);
  wait_for_input(pair);
  ERR_clear_error();
  SSL_read(pair.client.get(), bytes.data(), static_cast<int>(bytes.size()));
}

void misuse(const Pair& pair) {
  SSL* const client = pair.client.get();
  char byte = 0;
  switch (chosen) {
    case Misuse::none:
      read_and_wait(pair, 10, 10);
      ERR_clear_error();
      [[fallthrough]];
    case Misuse::no_clear:
      SSL_get_error(client, SSL_read(client, &byte, 1));
      break;
    case Misuse::shutdown_in_handshake:
      SSL_shutdown(session(false).get());
      break;
    case Misuse::empty_write:
      SSL_write(client, &byte, 0);
      break;
    case Misuse::entry_at_wait:
      ERR_clear_error();
      ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
      wait_for_input(pair);
      break;
    case Misuse::pending_at_wait:
      read_and_wait(pair, 10, 1);
      break;
    case Misuse::shared:
      break;
  }
  ERR_clear_error();
}

// The session of all threads. Nothing in it is a call of the system's.
std::shared_ptr<SSL> shared_session() {
  static std::mutex mutex;
  static std::weak_ptr<SSL> known;
  const std::lock_guard lock(mutex);
  std::shared_ptr<SSL> found = known.lock();
  if (found == nullptr) {
    found = session(false);
    SSL_set_bio(found.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    known = found;
  }
  return found;
}

void share() {
  thread_local const std::shared_ptr<SSL> shared = shared_session();
  ERR_clear_error();
  SSL_do_handshake(shared.get());
  ERR_clear_error();
}

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t flags, rig_error* error) {
  thread_local std::unique_ptr<Pair> own;
  if (chosen == Misuse::shared) {
    share();
  } else if (own == nullptr) {
    own = std::make_unique<Pair>();
  } else {
    misuse(*own);
  }
  return inner_subject->send(socket, token, bytes, count, flags, error);
}

}  // namespace

const rig_subject* make_misuser(const rig_subject* inner, Misuse misuse) {
  static rig_subject table;
  inner_subject = inner;
  chosen = misuse;
  table = *inner;
  table.send = send;
  return &table;
}

}  // namespace rig
