// Starting a renegotiation (TLS 1.2). Answering one is read()'s work, and the library's.
#include "backends/openssl/engine.h"

namespace rig::openssl {

// start_renegotiation sends the first message of a handshake. A peek drives it, because a read may find application
// data in its way and a handshake may not; what is found stays where it is.
std::expected<Need, Error> OpensslEngine::start_renegotiation() {
  if (!in_handshake() && SSL_renegotiate_pending(ssl_.get()) == 0 && SSL_renegotiate(ssl_.get()) != 1) {
    return fail(SSL_ERROR_SSL);
  }
  start_due_ = false;
  std::uint8_t byte = 0;
  std::size_t found = 0;
  const bool reads = wire_.reads(false);
  const int result = SSL_peek_ex(ssl_.get(), &byte, 1, &found);
  wire_.reads(reads);
  RIG_TRY(need, outcome(result));
  start_cut_ = need == Need::room;
  return start_cut_ ? Need::room : Need::nothing;
}

std::expected<Need, Error> OpensslEngine::renegotiate(CipherOut& out) {
  RIG_TRY_STATUS(established());
  const Verb verb(*this, out, false);
  if (tls13()) {
    return refused(Code::unsupported, "TLS 1.3 has no renegotiation");
  }
  if (!config().allow_renegotiation) {
    return refused(Code::unsupported, "renegotiation is not allowed in this context");
  }
  if (SSL_get_secure_renegotiation_support(ssl_.get()) != 1) {
    return refused(Code::unsupported, "the peer has no secure renegotiation (RFC 5746)");
  }
  if (std::exchange(start_cut_, false)) {
    // What did not fit, again; unless a read has meanwhile brought it out.
    return wire_.held_back() && in_handshake() ? start_renegotiation() : Need::nothing;
  }
  if (pending_ > 0) {
    return refused(Code::invalid_state, "a write is only partly accepted; finish it first");
  }
  if (close_started_ || clean_end_) {
    return refused(Code::invalid_state, "the connection is being closed");
  }
  if (start_due_ || in_handshake() || SSL_renegotiate_pending(ssl_.get()) != 0) {
    return refused(Code::invalid_state, "a renegotiation is under way");
  }
  if (wire_.within_record()) {
    start_due_ = true;  // the library would put it off to a call that may never come; read() starts it
    return Need::nothing;
  }
  return start_renegotiation();
}

}  // namespace rig::openssl
