// The functions of OpenSSL that make, drive and end a session.
#include <algorithm>
#include <cstddef>

#include "backends/openssl/door/behind.h"

namespace {

using rig::door_observer;
using rig::DoorCall;
using rig::DoorOutcome;
using rig::DoorPassage;
using rig::DoorReturn;
using rig::DoorVerb;
using namespace rig::openssl::door;

// An int that counts bytes; a negative one is refused by the library.
std::size_t count(int bytes) {
  return static_cast<std::size_t>(std::max(bytes, 0));
}

// driven passes a call that moves no bytes of the layer's.
template <class Real>
int driven(DoorVerb verb, const char* function, SSL* ssl, const void* caller, Real&& real) {
  return pass({.verb = verb, .function = function, .session = ssl, .caller = caller}, ssl, real,
              [](int) -> std::size_t { return 0; });
}

// Whether the result of an _ex function is a number of bytes: it says so in a variable of the caller's.
auto moved(const std::size_t* bytes) {
  return [bytes](int) { return bytes != nullptr ? *bytes : 0; };
}

auto moved() {
  return [](int result) { return count(result); };
}

}  // namespace

extern "C" {

SSL* SSL_new(SSL_CTX* context) {
  if (door_observer() == nullptr) {
    return behind_SSL_new(context);
  }
  DoorPassage passage({.verb = DoorVerb::create, .function = "SSL_new", .caller = __builtin_return_address(0)});
  if (!passage.announced()) {
    return behind_SSL_new(context);
  }
  passage.call().before = latest();
  passage.enter();
  SSL* const ssl = behind_SSL_new(context);
  passage.call().session = ssl;
  passage.leave({.outcome = ssl != nullptr ? DoorOutcome::done : DoorOutcome::other, .after = latest()});
  return ssl;
}

void SSL_free(SSL* ssl) {
  if (door_observer() == nullptr || ssl == nullptr) {
    return behind_SSL_free(ssl);
  }
  DoorPassage passage(
      {.verb = DoorVerb::destroy, .function = "SSL_free", .session = ssl, .caller = __builtin_return_address(0)});
  if (!passage.announced()) {
    return behind_SSL_free(ssl);
  }
  passage.call().before = latest();
  passage.enter();
  behind_SSL_free(ssl);
  passage.leave({.after = latest()});
}

int SSL_clear(SSL* ssl) {
  if (door_observer() == nullptr) {
    return behind_SSL_clear(ssl);
  }
  DoorPassage passage(
      {.verb = DoorVerb::reset, .function = "SSL_clear", .session = ssl, .caller = __builtin_return_address(0)});
  if (!passage.announced()) {
    return behind_SSL_clear(ssl);
  }
  passage.call().before = latest();
  passage.enter();
  const int result = behind_SSL_clear(ssl);
  passage.leave({.outcome = result > 0 ? DoorOutcome::done : DoorOutcome::other, .after = latest()});
  return result;
}

int SSL_do_handshake(SSL* ssl) {
  if (door_observer() == nullptr) {
    return behind_SSL_do_handshake(ssl);
  }
  return driven(DoorVerb::handshake, "SSL_do_handshake", ssl, __builtin_return_address(0),
                [ssl] { return behind_SSL_do_handshake(ssl); });
}

int SSL_connect(SSL* ssl) {
  if (door_observer() == nullptr) {
    return behind_SSL_connect(ssl);
  }
  return driven(DoorVerb::handshake, "SSL_connect", ssl, __builtin_return_address(0),
                [ssl] { return behind_SSL_connect(ssl); });
}

int SSL_accept(SSL* ssl) {
  if (door_observer() == nullptr) {
    return behind_SSL_accept(ssl);
  }
  return driven(DoorVerb::handshake, "SSL_accept", ssl, __builtin_return_address(0),
                [ssl] { return behind_SSL_accept(ssl); });
}

int SSL_shutdown(SSL* ssl) {
  if (door_observer() == nullptr) {
    return behind_SSL_shutdown(ssl);
  }
  DoorPassage passage(
      {.verb = DoorVerb::shutdown, .function = "SSL_shutdown", .session = ssl, .caller = __builtin_return_address(0)});
  if (!passage.announced()) {
    return behind_SSL_shutdown(ssl);
  }
  passage.call().before = latest();
  passage.call().in_handshake = behind_SSL_in_init(ssl) != 0;
  passage.enter();
  const int result = behind_SSL_shutdown(ssl);
  DoorReturn came_to{.after = latest()};
  // 0 is "sent, and the peer's has not come"; a refusal during a handshake is no loss of the session.
  if (result < 0) {
    came_to.outcome = passage.call().in_handshake ? DoorOutcome::other
                                                  : outcome_of(ssl, result, passage.call().before, came_to.after);
  }
  passage.leave(came_to);
  return result;
}

int SSL_key_update(SSL* ssl, int kind) {
  if (door_observer() == nullptr) {
    return behind_SSL_key_update(ssl, kind);
  }
  return driven(DoorVerb::control, "SSL_key_update", ssl, __builtin_return_address(0),
                [=] { return behind_SSL_key_update(ssl, kind); });
}

int SSL_renegotiate(SSL* ssl) {
  if (door_observer() == nullptr) {
    return behind_SSL_renegotiate(ssl);
  }
  return driven(DoorVerb::control, "SSL_renegotiate", ssl, __builtin_return_address(0),
                [ssl] { return behind_SSL_renegotiate(ssl); });
}

int SSL_renegotiate_abbreviated(SSL* ssl) {
  if (door_observer() == nullptr) {
    return behind_SSL_renegotiate_abbreviated(ssl);
  }
  return driven(DoorVerb::control, "SSL_renegotiate_abbreviated", ssl, __builtin_return_address(0),
                [ssl] { return behind_SSL_renegotiate_abbreviated(ssl); });
}

int SSL_read(SSL* ssl, void* data, int bytes) {
  if (door_observer() == nullptr) {
    return behind_SSL_read(ssl, data, bytes);
  }
  return pass(
      {.verb = DoorVerb::read,
       .function = "SSL_read",
       .session = ssl,
       .data = data,
       .bytes = count(bytes),
       .caller = __builtin_return_address(0)},
      ssl, [=] { return behind_SSL_read(ssl, data, bytes); }, moved());
}

int SSL_read_ex(SSL* ssl, void* data, std::size_t bytes, std::size_t* got) {
  if (door_observer() == nullptr) {
    return behind_SSL_read_ex(ssl, data, bytes, got);
  }
  return pass(
      {.verb = DoorVerb::read,
       .function = "SSL_read_ex",
       .session = ssl,
       .data = data,
       .bytes = bytes,
       .caller = __builtin_return_address(0)},
      ssl, [=] { return behind_SSL_read_ex(ssl, data, bytes, got); }, moved(got));
}

int SSL_peek(SSL* ssl, void* data, int bytes) {
  if (door_observer() == nullptr) {
    return behind_SSL_peek(ssl, data, bytes);
  }
  return pass(
      {.verb = DoorVerb::peek,
       .function = "SSL_peek",
       .session = ssl,
       .data = data,
       .bytes = count(bytes),
       .caller = __builtin_return_address(0)},
      ssl, [=] { return behind_SSL_peek(ssl, data, bytes); }, moved());
}

int SSL_peek_ex(SSL* ssl, void* data, std::size_t bytes, std::size_t* got) {
  if (door_observer() == nullptr) {
    return behind_SSL_peek_ex(ssl, data, bytes, got);
  }
  return pass(
      {.verb = DoorVerb::peek,
       .function = "SSL_peek_ex",
       .session = ssl,
       .data = data,
       .bytes = bytes,
       .caller = __builtin_return_address(0)},
      ssl, [=] { return behind_SSL_peek_ex(ssl, data, bytes, got); }, moved(got));
}

int SSL_write(SSL* ssl, const void* data, int bytes) {
  if (door_observer() == nullptr) {
    return behind_SSL_write(ssl, data, bytes);
  }
  return pass(
      {.verb = DoorVerb::write,
       .function = "SSL_write",
       .session = ssl,
       .data = data,
       .bytes = count(bytes),
       .caller = __builtin_return_address(0)},
      ssl, [=] { return behind_SSL_write(ssl, data, bytes); }, moved());
}

int SSL_write_ex(SSL* ssl, const void* data, std::size_t bytes, std::size_t* written) {
  if (door_observer() == nullptr) {
    return behind_SSL_write_ex(ssl, data, bytes, written);
  }
  return pass(
      {.verb = DoorVerb::write,
       .function = "SSL_write_ex",
       .session = ssl,
       .data = data,
       .bytes = bytes,
       .caller = __builtin_return_address(0),
       .may_be_empty = true},
      ssl, [=] { return behind_SSL_write_ex(ssl, data, bytes, written); }, moved(written));
}

}  // extern "C"
