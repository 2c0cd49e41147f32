// The functions of GnuTLS that a socket layer drives a session with.
#include <gnutls/gnutls.h>

#include <cerrno>
#include <cstddef>

#include "harness/base/library_door.h"
#include "harness/base/symbol_behind.h"

namespace {

RIG_BEHIND(gnutls_global_init);
RIG_BEHIND(gnutls_global_deinit);
RIG_BEHIND(gnutls_init);
RIG_BEHIND(gnutls_deinit);
RIG_BEHIND(gnutls_handshake);
RIG_BEHIND(gnutls_rehandshake);
RIG_BEHIND(gnutls_reauth);
RIG_BEHIND(gnutls_session_key_update);
RIG_BEHIND(gnutls_record_recv);
RIG_BEHIND(gnutls_record_recv_seq);
RIG_BEHIND(gnutls_record_recv_packet);
RIG_BEHIND(gnutls_record_send);
RIG_BEHIND(gnutls_record_send2);
RIG_BEHIND(gnutls_record_send_range);
RIG_BEHIND(gnutls_record_uncork);
RIG_BEHIND(gnutls_bye);

// What the door asks for itself.
RIG_BEHIND(gnutls_alert_get);
RIG_BEHIND(gnutls_error_is_fatal);
RIG_BEHIND(gnutls_record_get_direction);
RIG_BEHIND(gnutls_record_check_pending);
RIG_BEHIND(gnutls_transport_get_int2);

using rig::door_observer;
using rig::DoorCall;
using rig::DoorOutcome;
using rig::DoorPassage;
using rig::DoorReturn;
using rig::DoorVerb;
using rig::TlsLibrary;

// No error of a system's: where it decides an outcome, nobody had set another.
constexpr int planted_errno = 4095;

DoorOutcome outcome_of(gnutls_session_t session, DoorVerb verb, long result) {
  if (result == 0 && verb == DoorVerb::read) {
    return DoorOutcome::end;
  }
  if (result >= 0) {
    return DoorOutcome::done;
  }
  const int code = static_cast<int>(result);
  if (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED) {
    // The direction is that of the session's last transport call, and of another thread's where one reads and one
    // writes.
    const bool writes =
        verb == DoorVerb::write || (verb != DoorVerb::read && behind_gnutls_record_get_direction(session));
    return writes ? DoorOutcome::want_write : DoorOutcome::want_read;
  }
  switch (code) {
    case GNUTLS_E_PUSH_ERROR:
    case GNUTLS_E_PULL_ERROR:
    case GNUTLS_E_PREMATURE_TERMINATION:
      return DoorOutcome::broken;
    // Refusals, data that overtook a handshake, which some builds call fatal, and a handshake record where data was
    // asked for: the library throws it away, and the session lives on.
    case GNUTLS_E_INVALID_REQUEST:
    case GNUTLS_E_UNAVAILABLE_DURING_HANDSHAKE:
    case GNUTLS_E_GOT_APPLICATION_DATA:
    case GNUTLS_E_UNEXPECTED_PACKET:
      return DoorOutcome::other;
    case GNUTLS_E_WARNING_ALERT_RECEIVED:
      return behind_gnutls_alert_get(session) == GNUTLS_A_NO_RENEGOTIATION ? DoorOutcome::given_up : DoorOutcome::other;
    default:
      return behind_gnutls_error_is_fatal(code) != 0 ? DoorOutcome::fatal : DoorOutcome::other;
  }
}

// pass leads a call that drives a session through the door.
template <class Real>
auto pass(const DoorCall& call, gnutls_session_t session, Real&& real) {
  DoorPassage passage(call);
  if (!passage.announced()) {
    return real();
  }
  const rig::DoorObserver* const observer = door_observer();
  const bool poisoned = observer != nullptr && observer->poisons();
  passage.enter();
  const int before = errno;
  if (poisoned) {
    errno = planted_errno;
  }
  const auto result = real();
  DoorReturn came_to{.outcome = outcome_of(session, call.verb, result)};
  if (poisoned && errno == planted_errno) {
    came_to.errno_was_stale = result == GNUTLS_E_PUSH_ERROR || result == GNUTLS_E_PULL_ERROR;
    errno = before;
  }
  came_to.bytes = came_to.outcome == DoorOutcome::done ? static_cast<std::size_t>(result) : 0;
  passage.leave(came_to);
  return result;
}

template <class Real>
auto driven(DoorVerb verb, const char* function, gnutls_session_t session, const void* caller, Real&& real) {
  return pass({.library = TlsLibrary::gnutls, .verb = verb, .function = function, .session = session, .caller = caller},
              session, real);
}

DoorCall write_of(const char* function, gnutls_session_t session, const void* data, std::size_t bytes,
                  const void* caller) {
  return {.library = TlsLibrary::gnutls,
          .verb = DoorVerb::write,
          .function = function,
          .session = session,
          .data = data,
          .bytes = bytes,
          .caller = caller,
          .may_be_empty = true};
}

DoorCall read_of(const char* function, gnutls_session_t session, void* data, std::size_t bytes, const void* caller) {
  return {.library = TlsLibrary::gnutls,
          .verb = DoorVerb::read,
          .function = function,
          .session = session,
          .data = data,
          .bytes = bytes,
          .caller = caller};
}

std::size_t pending(const void* session) {
  return behind_gnutls_record_check_pending(static_cast<gnutls_session_t>(const_cast<void*>(session)));
}

int descriptor(const void* session) {
  int receives = -1;
  int sends = -1;
  behind_gnutls_transport_get_int2(static_cast<gnutls_session_t>(const_cast<void*>(session)), &receives, &sends);
  return receives;
}

int room_descriptor(const void* session) {
  int receives = -1;
  int sends = -1;
  behind_gnutls_transport_get_int2(static_cast<gnutls_session_t>(const_cast<void*>(session)), &receives, &sends);
  return sends;
}

[[maybe_unused]] const bool registered = [] {
  rig::register_library_door({.library = TlsLibrary::gnutls,
                              .name = "GnuTLS",
                              .pending = pending,
                              .descriptor = descriptor,
                              .room_descriptor = room_descriptor});
  return true;
}();

}  // namespace

extern "C" {

int gnutls_global_init() {
  if (door_observer() == nullptr) {
    return behind_gnutls_global_init();
  }
  DoorPassage passage({.library = TlsLibrary::gnutls,
                       .verb = DoorVerb::init,
                       .function = "gnutls_global_init",
                       .caller = __builtin_return_address(0)});
  if (!passage.announced()) {
    return behind_gnutls_global_init();
  }
  passage.enter();
  const int result = behind_gnutls_global_init();
  passage.leave({.outcome = result >= 0 ? DoorOutcome::done : DoorOutcome::other});
  return result;
}

void gnutls_global_deinit() {
  const void* const caller = __builtin_return_address(0);
  // The library ends itself when it is unloaded.
  if (door_observer() == nullptr || rig::inside_tls_library(caller)) {
    return behind_gnutls_global_deinit();
  }
  DoorPassage passage(
      {.library = TlsLibrary::gnutls, .verb = DoorVerb::deinit, .function = "gnutls_global_deinit", .caller = caller});
  if (!passage.announced()) {
    return behind_gnutls_global_deinit();
  }
  passage.enter();
  behind_gnutls_global_deinit();
  passage.leave({});
}

int gnutls_init(gnutls_session_t* session, unsigned flags) {
  if (door_observer() == nullptr) {
    return behind_gnutls_init(session, flags);
  }
  DoorPassage passage({.library = TlsLibrary::gnutls,
                       .verb = DoorVerb::create,
                       .function = "gnutls_init",
                       .caller = __builtin_return_address(0)});
  if (!passage.announced()) {
    return behind_gnutls_init(session, flags);
  }
  passage.enter();
  const int result = behind_gnutls_init(session, flags);
  passage.call().session = result >= 0 ? *session : nullptr;
  passage.leave({.outcome = result >= 0 ? DoorOutcome::done : DoorOutcome::other});
  return result;
}

void gnutls_deinit(gnutls_session_t session) {
  if (door_observer() == nullptr || session == nullptr) {
    return behind_gnutls_deinit(session);
  }
  DoorPassage passage({.library = TlsLibrary::gnutls,
                       .verb = DoorVerb::destroy,
                       .function = "gnutls_deinit",
                       .session = session,
                       .caller = __builtin_return_address(0)});
  if (!passage.announced()) {
    return behind_gnutls_deinit(session);
  }
  passage.enter();
  behind_gnutls_deinit(session);
  passage.leave({});
}

int gnutls_handshake(gnutls_session_t session) {
  if (door_observer() == nullptr) {
    return behind_gnutls_handshake(session);
  }
  return driven(DoorVerb::handshake, "gnutls_handshake", session, __builtin_return_address(0),
                [=] { return behind_gnutls_handshake(session); });
}

int gnutls_rehandshake(gnutls_session_t session) {
  if (door_observer() == nullptr) {
    return behind_gnutls_rehandshake(session);
  }
  return driven(DoorVerb::control, "gnutls_rehandshake", session, __builtin_return_address(0),
                [=] { return behind_gnutls_rehandshake(session); });
}

int gnutls_reauth(gnutls_session_t session, unsigned flags) {
  if (door_observer() == nullptr) {
    return behind_gnutls_reauth(session, flags);
  }
  return driven(DoorVerb::control, "gnutls_reauth", session, __builtin_return_address(0),
                [=] { return behind_gnutls_reauth(session, flags); });
}

int gnutls_session_key_update(gnutls_session_t session, unsigned flags) {
  if (door_observer() == nullptr) {
    return behind_gnutls_session_key_update(session, flags);
  }
  return driven(DoorVerb::control, "gnutls_session_key_update", session, __builtin_return_address(0),
                [=] { return behind_gnutls_session_key_update(session, flags); });
}

int gnutls_bye(gnutls_session_t session, gnutls_close_request_t how) {
  if (door_observer() == nullptr) {
    return behind_gnutls_bye(session, how);
  }
  return driven(DoorVerb::shutdown, "gnutls_bye", session, __builtin_return_address(0),
                [=] { return behind_gnutls_bye(session, how); });
}

ssize_t gnutls_record_recv(gnutls_session_t session, void* data, std::size_t bytes) {
  if (door_observer() == nullptr) {
    return behind_gnutls_record_recv(session, data, bytes);
  }
  return pass(read_of("gnutls_record_recv", session, data, bytes, __builtin_return_address(0)), session,
              [=] { return behind_gnutls_record_recv(session, data, bytes); });
}

ssize_t gnutls_record_recv_seq(gnutls_session_t session, void* data, std::size_t bytes, unsigned char* sequence) {
  if (door_observer() == nullptr) {
    return behind_gnutls_record_recv_seq(session, data, bytes, sequence);
  }
  return pass(read_of("gnutls_record_recv_seq", session, data, bytes, __builtin_return_address(0)), session,
              [=] { return behind_gnutls_record_recv_seq(session, data, bytes, sequence); });
}

ssize_t gnutls_record_recv_packet(gnutls_session_t session, gnutls_packet_t* packet) {
  if (door_observer() == nullptr) {
    return behind_gnutls_record_recv_packet(session, packet);
  }
  return pass(read_of("gnutls_record_recv_packet", session, nullptr, 0, __builtin_return_address(0)), session,
              [=] { return behind_gnutls_record_recv_packet(session, packet); });
}

ssize_t gnutls_record_send(gnutls_session_t session, const void* data, std::size_t bytes) {
  if (door_observer() == nullptr) {
    return behind_gnutls_record_send(session, data, bytes);
  }
  return pass(write_of("gnutls_record_send", session, data, bytes, __builtin_return_address(0)), session,
              [=] { return behind_gnutls_record_send(session, data, bytes); });
}

ssize_t gnutls_record_send2(gnutls_session_t session, const void* data, std::size_t bytes, std::size_t pad,
                            unsigned flags) {
  if (door_observer() == nullptr) {
    return behind_gnutls_record_send2(session, data, bytes, pad, flags);
  }
  return pass(write_of("gnutls_record_send2", session, data, bytes, __builtin_return_address(0)), session,
              [=] { return behind_gnutls_record_send2(session, data, bytes, pad, flags); });
}

ssize_t gnutls_record_send_range(gnutls_session_t session, const void* data, std::size_t bytes,
                                 const gnutls_range_st* range) {
  if (door_observer() == nullptr) {
    return behind_gnutls_record_send_range(session, data, bytes, range);
  }
  return pass(write_of("gnutls_record_send_range", session, data, bytes, __builtin_return_address(0)), session,
              [=] { return behind_gnutls_record_send_range(session, data, bytes, range); });
}

int gnutls_record_uncork(gnutls_session_t session, unsigned flags) {
  if (door_observer() == nullptr) {
    return behind_gnutls_record_uncork(session, flags);
  }
  return pass(write_of("gnutls_record_uncork", session, nullptr, 0, __builtin_return_address(0)), session,
              [=] { return behind_gnutls_record_uncork(session, flags); });
}

}  // extern "C"
