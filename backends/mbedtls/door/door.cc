// The functions of mbedTLS that a socket layer drives a session with.
#include <mbedtls/ssl.h>

#include <cstddef>

#include "harness/base/library_door.h"
#include "harness/base/symbol_behind.h"

namespace {

RIG_BEHIND(mbedtls_ssl_setup);
RIG_BEHIND(mbedtls_ssl_free);
RIG_BEHIND(mbedtls_ssl_session_reset);
RIG_BEHIND(mbedtls_ssl_handshake);
RIG_BEHIND(mbedtls_ssl_handshake_step);
RIG_BEHIND(mbedtls_ssl_read);
RIG_BEHIND(mbedtls_ssl_write);
RIG_BEHIND(mbedtls_ssl_close_notify);
RIG_BEHIND(mbedtls_ssl_renegotiate);
// What the door asks for itself.
RIG_BEHIND(mbedtls_ssl_get_bytes_avail);

using rig::door_observer;
using rig::DoorCall;
using rig::DoorOutcome;
using rig::DoorPassage;
using rig::DoorVerb;
using rig::TlsLibrary;

DoorOutcome outcome_of(DoorVerb verb, int result) {
  if (result > 0 || (result == 0 && verb != DoorVerb::read)) {
    return DoorOutcome::done;
  }
  switch (result) {
    case 0:  // the transport has ended without close_notify
      return DoorOutcome::broken;
    case MBEDTLS_ERR_SSL_WANT_READ:
      return DoorOutcome::want_read;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
      return DoorOutcome::want_write;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
      return DoorOutcome::end;
    case MBEDTLS_ERR_SSL_ASYNC_IN_PROGRESS:
    case MBEDTLS_ERR_SSL_CRYPTO_IN_PROGRESS:
    case MBEDTLS_ERR_SSL_CLIENT_RECONNECT:
    case MBEDTLS_ERR_SSL_BAD_INPUT_DATA:
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
    case MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET:  // 3.6: the read goes on behind it
#endif
      return DoorOutcome::other;
    default:
      return DoorOutcome::fatal;
  }
}

// pass leads a call through the door.
int pass(const DoorCall& call, auto&& real) {
  DoorPassage passage(call);
  if (!passage.announced()) {
    return real();
  }
  passage.enter();
  const int result = real();
  const DoorOutcome outcome = outcome_of(call.verb, result);
  passage.leave({.outcome = outcome, .bytes = outcome == DoorOutcome::done ? static_cast<std::size_t>(result) : 0});
  return result;
}

DoorCall call_of(DoorVerb verb, const char* function, const mbedtls_ssl_context* session, const void* caller) {
  return {.library = TlsLibrary::mbedtls, .verb = verb, .function = function, .session = session, .caller = caller};
}

[[maybe_unused]] const bool registered = [] {
  rig::register_library_door({.library = TlsLibrary::mbedtls, .name = "mbedTLS", .pending = [](const void* session) {
                                return behind_mbedtls_ssl_get_bytes_avail(
                                    static_cast<const mbedtls_ssl_context*>(session));
                              }});
  return true;
}();

}  // namespace

extern "C" {

int mbedtls_ssl_setup(mbedtls_ssl_context* session, const mbedtls_ssl_config* config) {
  if (door_observer() == nullptr) {
    return behind_mbedtls_ssl_setup(session, config);
  }
  return pass(call_of(DoorVerb::create, "mbedtls_ssl_setup", session, __builtin_return_address(0)),
              [=] { return behind_mbedtls_ssl_setup(session, config); });
}

void mbedtls_ssl_free(mbedtls_ssl_context* session) {
  if (door_observer() == nullptr || session == nullptr) {
    return behind_mbedtls_ssl_free(session);
  }
  pass(call_of(DoorVerb::destroy, "mbedtls_ssl_free", session, __builtin_return_address(0)), [=] {
    behind_mbedtls_ssl_free(session);
    return 0;
  });
}

int mbedtls_ssl_session_reset(mbedtls_ssl_context* session) {
  if (door_observer() == nullptr) {
    return behind_mbedtls_ssl_session_reset(session);
  }
  return pass(call_of(DoorVerb::reset, "mbedtls_ssl_session_reset", session, __builtin_return_address(0)),
              [=] { return behind_mbedtls_ssl_session_reset(session); });
}

int mbedtls_ssl_handshake(mbedtls_ssl_context* session) {
  if (door_observer() == nullptr) {
    return behind_mbedtls_ssl_handshake(session);
  }
  return pass(call_of(DoorVerb::handshake, "mbedtls_ssl_handshake", session, __builtin_return_address(0)),
              [=] { return behind_mbedtls_ssl_handshake(session); });
}

// A step that succeeds is not the end of the handshake; what is left of it is the layer's to know.
int mbedtls_ssl_handshake_step(mbedtls_ssl_context* session) {
  if (door_observer() == nullptr) {
    return behind_mbedtls_ssl_handshake_step(session);
  }
  return pass(call_of(DoorVerb::control, "mbedtls_ssl_handshake_step", session, __builtin_return_address(0)),
              [=] { return behind_mbedtls_ssl_handshake_step(session); });
}

int mbedtls_ssl_renegotiate(mbedtls_ssl_context* session) {
  if (door_observer() == nullptr) {
    return behind_mbedtls_ssl_renegotiate(session);
  }
  return pass(call_of(DoorVerb::control, "mbedtls_ssl_renegotiate", session, __builtin_return_address(0)),
              [=] { return behind_mbedtls_ssl_renegotiate(session); });
}

int mbedtls_ssl_close_notify(mbedtls_ssl_context* session) {
  if (door_observer() == nullptr) {
    return behind_mbedtls_ssl_close_notify(session);
  }
  return pass(call_of(DoorVerb::shutdown, "mbedtls_ssl_close_notify", session, __builtin_return_address(0)),
              [=] { return behind_mbedtls_ssl_close_notify(session); });
}

int mbedtls_ssl_read(mbedtls_ssl_context* session, unsigned char* data, std::size_t bytes) {
  if (door_observer() == nullptr) {
    return behind_mbedtls_ssl_read(session, data, bytes);
  }
  DoorCall call = call_of(DoorVerb::read, "mbedtls_ssl_read", session, __builtin_return_address(0));
  call.data = data;
  call.bytes = bytes;
  return pass(call, [=] { return behind_mbedtls_ssl_read(session, data, bytes); });
}

// A write of no bytes sends an empty record.
int mbedtls_ssl_write(mbedtls_ssl_context* session, const unsigned char* data, std::size_t bytes) {
  if (door_observer() == nullptr) {
    return behind_mbedtls_ssl_write(session, data, bytes);
  }
  DoorCall call = call_of(DoorVerb::write, "mbedtls_ssl_write", session, __builtin_return_address(0));
  call.data = data;
  call.bytes = bytes;
  call.may_be_empty = true;
  return pass(call, [=] { return behind_mbedtls_ssl_write(session, data, bytes); });
}

}  // extern "C"
