// The real functions of OpenSSL behind the door. Private to this folder, which calls no other way into the library: the
// process may have no OpenSSL at all.
#pragma once

// A program may still call what OpenSSL 3 declares deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "harness/base/library_door.h"
#include "harness/base/symbol_behind.h"

namespace rig::openssl::door {

RIG_BEHIND(SSL_new);
RIG_BEHIND(SSL_free);
RIG_BEHIND(SSL_clear);
RIG_BEHIND(SSL_do_handshake);
RIG_BEHIND(SSL_connect);
RIG_BEHIND(SSL_accept);
RIG_BEHIND(SSL_read);
RIG_BEHIND(SSL_read_ex);
RIG_BEHIND(SSL_peek);
RIG_BEHIND(SSL_peek_ex);
RIG_BEHIND(SSL_write);
RIG_BEHIND(SSL_write_ex);
RIG_BEHIND(SSL_shutdown);
RIG_BEHIND(SSL_key_update);
RIG_BEHIND(SSL_renegotiate);
RIG_BEHIND(SSL_renegotiate_abbreviated);
RIG_BEHIND(SSL_get_error);
RIG_BEHIND(ERR_clear_error);
RIG_BEHIND(ERR_get_error);
RIG_BEHIND(ERR_get_error_all);
RIG_BEHIND(ERR_get_error_line);
RIG_BEHIND(ERR_get_error_line_data);
RIG_BEHIND(ERR_print_errors);
RIG_BEHIND(ERR_print_errors_cb);
RIG_BEHIND(ERR_print_errors_fp);
RIG_BEHIND(ERR_new);
RIG_BEHIND(OPENSSL_cleanup);

// What the door asks for itself.
RIG_BEHIND(SSL_in_init);
RIG_BEHIND(SSL_ctrl);
RIG_BEHIND(SSL_want);
RIG_BEHIND(SSL_pending);
RIG_BEHIND(SSL_get_shutdown);
RIG_BEHIND(SSL_get_rbio);
RIG_BEHIND(SSL_get_wbio);
RIG_BEHIND(SSL_get_rfd);
RIG_BEHIND(SSL_get_wfd);
RIG_BEHIND(BIO_test_flags);
RIG_BEHIND(ERR_peek_last_error);
RIG_BEHIND(ERR_peek_last_error_all);
RIG_BEHIND(ERR_error_string_n);
RIG_BEHIND(ERR_set_debug);
// behind_ERR_set_error takes an argument for each place in its format, and is given none.
inline constinit SymbolBehind<void(int, int, const char*)> behind_ERR_set_error{"ERR_set_error"};

// latest is the latest entry of the calling thread's error queue.
DoorEntry latest() noexcept;

// outcome_of is what a call that drives a session came to: its result, and the queue before and after it. An entry that
// was there before hides the truth from SSL_get_error, and not from this.
DoorOutcome outcome_of(const SSL* ssl, int result, const DoorEntry& before, const DoorEntry& after) noexcept;

// answer_of translates what SSL_get_error says.
DoorOutcome answer_of(int ssl_error) noexcept;

// pass leads a call that drives a session through the door. `real` makes it and returns its result; `bytes` says how
// many it moved.
template <class Real, class Bytes>
int pass(const DoorCall& call, SSL* ssl, Real&& real, Bytes&& bytes) {
  DoorPassage passage(call);
  if (!passage.announced()) {
    return real();
  }
  passage.call().before = latest();
  passage.call().in_handshake = behind_SSL_in_init(ssl) != 0;
  if (call.verb == DoorVerb::write) {
    passage.call().may_move =
        (behind_SSL_ctrl(ssl, SSL_CTRL_MODE, 0, nullptr) & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER) != 0;
  }
  passage.enter();
  const int result = real();
  DoorReturn came_to{.after = latest()};
  // A write of no bytes answers 0, which is no failure then.
  const bool empty = call.verb == DoorVerb::write && call.bytes == 0 && result == 0;
  if (!empty || came_to.after != passage.call().before) {
    came_to.outcome = outcome_of(ssl, result, passage.call().before, came_to.after);
  }
  came_to.bytes = came_to.outcome == DoorOutcome::done ? bytes(result) : 0;
  passage.leave(came_to);
  return result;
}

}  // namespace rig::openssl::door
