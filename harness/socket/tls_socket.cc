// Verbs and draining: what any thread may do to a socket. The loop's side is in tls_socket_loop.cc.
#include "harness/socket/tls_socket.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "harness/base/check.h"

namespace rig {
namespace {

constexpr std::size_t pieces_per_send = 64;
constexpr std::size_t timers_per_socket = 3;
// So much is sent from one socket before the others of the loop have their turn: senders on other threads may be as
// fast as the wire.
constexpr std::size_t send_bytes_per_turn = 256 * 1024;

// SilentEvents receives what nobody adopted.
class SilentEvents final : public SocketEvents {
 public:
  void on_connected(const Error*) override {}
  void on_data(ByteView) override {}
  void on_ended() override {}
  void on_sent(const Completion&) override {}
  void on_writable() override {}
  void on_closed(const Error*) override {}
};
SilentEvents silent_events;

Error closed_error() {
  return Error(Code::closed, "the socket is closed or closing");
}

// A verb that was not possible leaves the engine as it was.
bool is_usage_error(const Error& error) {
  return error.code() == Code::unsupported || error.code() == Code::invalid_state ||
         error.code() == Code::invalid_argument;
}

}  // namespace

TlsSocket::TlsSocket(std::shared_ptr<Loop> loop, std::unique_ptr<Transport> transport,
                     std::unique_ptr<TlsEngine> engine, Role role, const SocketConfig& config,
                     std::shared_ptr<void> lease)
    : loop_(std::move(loop)),
      role_(role),
      config_(config),
      events_(&silent_events),
      lease_(std::move(lease)),
      transport_(std::move(transport)),
      engine_(std::move(engine)),
      queue_(config.limits) {}

TlsSocket::~TlsSocket() {
  RIG_CHECK(!attached_);
}

std::expected<std::shared_ptr<TlsSocket>, Error> TlsSocket::make(std::shared_ptr<Loop> loop,
                                                                 std::unique_ptr<Transport> transport,
                                                                 std::unique_ptr<TlsEngine> engine, Role role,
                                                                 const SocketConfig& config,
                                                                 std::shared_ptr<void> lease) noexcept {
  try {
    return std::shared_ptr<TlsSocket>(
        new TlsSocket(std::move(loop), std::move(transport), std::move(engine), role, config, std::move(lease)));
  } catch (const std::bad_alloc&) {
    return std::unexpected(Error(Code::no_memory, "no memory for a socket"));
  }
}

std::expected<std::shared_ptr<TlsSocket>, Error> TlsSocket::connect(std::shared_ptr<Loop> loop, const Context& context,
                                                                    const EngineConfig& engine_config,
                                                                    const Endpoint& peer, const SocketConfig& config,
                                                                    SocketEvents& events) noexcept {
  RIG_TRY(engine, context.make_engine(engine_config));
  RIG_TRY(transport, connect_tcp(peer));
  RIG_TRY(socket, make(std::move(loop), std::move(transport), std::move(engine), Role::client, config));
  RIG_TRY_STATUS(socket->start(&events));
  return socket;
}

Status TlsSocket::start(SocketEvents* events) noexcept {
  if (events != nullptr) {
    events_ = events;
  }
  // A refused option ends nothing; info() tells what is really set.
  const bool nodelay = transport_->set_nodelay(config_.nodelay).has_value() && config_.nodelay;
  static_cast<void>(transport_->set_buffers(config_.kernel_send_bytes, config_.kernel_recv_bytes));
  interest_ = {.readable = role_ == Role::server, .writable = role_ == Role::client};
  Status status = loop_->attach(shared_from_this(), timers_per_socket);
  if (status.has_value()) {
    attached_ = true;
    status = loop_->watch(*this, transport_->handle(), interest_);
    watched_ = status.has_value();
  }
  if (!status.has_value()) {
    transport_->close(false);
  }
  const MutexLock lock(mutex_);
  if (!status.has_value()) {
    phase_ = Phase::closed;
    finished_ = true;
    destroyed_ = true;
    release();
    return status;
  }
  nodelay_ = nodelay;
  phase_ = role_ == Role::server ? Phase::handshaking : Phase::connecting;
  started_us_ = Loop::now_us();
  const bool connect_first = role_ == Role::client && config_.connect_timeout_us > 0 &&
                             config_.connect_timeout_us < config_.handshake_timeout_us;
  loop_->arm(connect_timer_, connect_first ? config_.connect_timeout_us : config_.handshake_timeout_us);
  update_stage();
  if (role_ == Role::server) {
    begin_ = true;
    loop_->schedule(*this);
  }
  return {};
}

bool TlsSocket::adopted() const noexcept {
  return events_ != &silent_events;
}

std::expected<SendOutcome, Error> TlsSocket::send(Token token, ByteView plain, bool more) noexcept {
  SendOutcome outcome = SendOutcome::pending;
  {
    const MutexLock lock(mutex_);
    if (phase_ == Phase::closed || closing_ != Closing::no || failure_.has_value()) {
      return std::unexpected(closed_error());
    }
    // Only a sender that finds nothing queued may be the drainer: then its own op is the first to complete, and no op
    // of anybody else completes on this stack.
    const bool alone = loop_->fast_track() && !more && phase_ == Phase::open && queue_.idle() && !draining_ &&
                       !blocked_ && !waits_for_input_;
    RIG_TRY_STATUS(queue_.push(token, plain, more));
    if (alone) {
      drain(true);
      if (queue_.pop_completed().has_value()) {
        outcome = SendOutcome::completed;
      }
      // A send of another thread that was refused in between waits for on_writable: the loop has to look.
      if (queue_.idle() && !queue_.refused() && !failure_.has_value() && closing_ == Closing::no) {
        return outcome;
      }
    }
  }
  loop_->schedule(*this);
  return outcome;
}

Status TlsSocket::pause() noexcept {
  return set_paused(true);
}

Status TlsSocket::resume() noexcept {
  return set_paused(false);
}

Status TlsSocket::set_paused(bool paused) noexcept {
  {
    const MutexLock lock(mutex_);
    if (phase_ == Phase::closed || closing_ == Closing::graceful || closing_ == Closing::abort) {
      return std::unexpected(closed_error());
    }
    paused_ = paused;
    backlog_ = backlog_ || !paused;
  }
  loop_->schedule(*this);
  return {};
}

Status TlsSocket::renegotiate() noexcept {
  return control(Control::renegotiate);
}

Status TlsSocket::update_keys() noexcept {
  return control(Control::update_keys);
}

Status TlsSocket::control(Control verb) noexcept {
  Status answer;
  {
    const MutexLock lock(mutex_);
    if (phase_ == Phase::closed || closing_ != Closing::no || failure_.has_value()) {
      return std::unexpected(closed_error());
    }
    if (phase_ != Phase::open) {
      return std::unexpected(Error(Code::invalid_state, "the handshake is not done"));
    }
    const auto need = engine_control(verb);
    if (!need.has_value() && need.error().code() == Code::invalid_state && queue_.partly_encrypted()) {
      (verb == Control::renegotiate ? want_renegotiate_ : want_update_keys_) = true;
    } else if (!need.has_value()) {
      answer = std::unexpected(need.error());
      if (is_usage_error(need.error())) {
        return answer;
      }
      failed_above_ = true;
      end_with(need.error());
    }
  }
  loop_->schedule(*this);
  return answer;
}

std::expected<Need, Error> TlsSocket::engine_control(Control verb) {
  return into_wire([this, verb](CipherOut& out) {
    return verb == Control::renegotiate ? engine_->renegotiate(out) : engine_->update_keys(out);
  });
}

Status TlsSocket::half_close() noexcept {
  {
    const MutexLock lock(mutex_);
    if (phase_ == Phase::closed || closing_ == Closing::graceful || closing_ == Closing::abort) {
      return std::unexpected(closed_error());
    }
    closing_ = Closing::half;
    update_stage();
  }
  loop_->schedule(*this);
  return {};
}

void TlsSocket::close(CloseMode mode) noexcept {
  {
    const MutexLock lock(mutex_);
    const Closing wanted = mode == CloseMode::abort ? Closing::abort : Closing::graceful;
    if (phase_ == Phase::closed || closing_ >= wanted) {
      return;
    }
    closing_ = wanted;
    update_stage();
  }
  loop_->schedule(*this);
}

void TlsSocket::destroy() noexcept {
  {
    const MutexLock lock(mutex_);
    destroyed_ = true;
    if (phase_ != Phase::closed && closing_ != Closing::abort) {
      closing_ = Closing::abort;
      update_stage();
    }
  }
  loop_->schedule(*this);
}

SocketInfo TlsSocket::info() const {
  const MutexLock lock(mutex_);
  return {.facts = engine_->facts(),
          .poller = loop_->poller_kind(),
          .fast_track = loop_->fast_track(),
          .nodelay = nodelay_,
          .ops_pending = queue_.ops_pending(),
          .queued_bytes = queue_.plain_bytes(),
          .queue = queue_.counters()};
}

// Sends as far as the transport takes it. The mutex is open while the transport works; `draining_` keeps every other
// drainer, and the end of the socket, out. With `until_completed` it stops as soon as an op is through.
void TlsSocket::drain(bool until_completed) {
  if (draining_ || failure_.has_value() || send_failure_.has_value() || phase_ == Phase::connecting ||
      phase_ == Phase::closed) {
    return;
  }
  draining_ = true;
  std::array<ByteView, pieces_per_send> pieces;
  std::size_t budget = send_bytes_per_turn;
  for (;;) {
    encrypt_ahead();
    end_our_direction();
    if (failure_.has_value() || closing_ == Closing::abort) {
      break;
    }
    const SendQueue::Gathered run = queue_.gather(pieces, closing_ != Closing::no);
    if (run.bytes == 0) {
      break;
    }
    mutex_.unlock();
    const auto sent = transport_->send(std::span(pieces).first(run.pieces), run.more);
    mutex_.lock();
    if (!sent.has_value()) {
      if (sent.error().code() == Code::would_block) {
        blocked_ = true;
      } else {
        send_failure_ = sent.error();
      }
      break;
    }
    queue_.consume(*sent);
    if (until_completed && queue_.has_completed()) {
      break;
    }
    budget -= std::min(budget, *sent);
    if (budget == 0 && !until_completed) {
      loop_->schedule(*this);
      break;
    }
  }
  if (phase_ == Phase::open) {
    queue_.settle_front();
  }
  if (queue_.take_push()) {
    mutex_.unlock();
    static_cast<void>(transport_->push());  // refused, it leaves a little later
    mutex_.lock();
  }
  draining_ = false;
}

// Encrypts waiting ops until the wire lane is full or the engine wants to read first.
void TlsSocket::encrypt_ahead() {
  if (phase_ != Phase::open || notified_) {
    return;
  }
  for (;;) {
    run_wanted_control();
    if (failure_.has_value() || waits_for_input_) {
      return;
    }
    const auto plain = queue_.next_plain();
    if (!plain.has_value()) {
      return;
    }
    const auto storage = queue_.prepare_wire();
    if (!storage.has_value()) {
      end_with(storage.error());
      return;
    }
    CipherOut out(*storage);
    const auto step = engine_->write(*plain, out);
    queue_.commit_wire(out.size());
    if (!step.has_value()) {
      failed_above_ = true;
      end_with(step.error());
      return;
    }
    queue_.encrypted(step->accepted);
    waits_for_input_ = step->need == Need::input;
  }
}

// A renegotiation or a key update that met a partly written op runs as soon as that op is whole.
void TlsSocket::run_wanted_control() {
  for (const Control verb : {Control::renegotiate, Control::update_keys}) {
    bool& wanted = verb == Control::renegotiate ? want_renegotiate_ : want_update_keys_;
    if (!wanted || queue_.partly_encrypted() || failure_.has_value()) {
      continue;
    }
    wanted = false;
    const auto need = engine_control(verb);
    if (!need.has_value() && !is_usage_error(need.error())) {
      failed_above_ = true;
      end_with(need.error());
    }
  }
}

// Puts our close_notify behind the last op, once every op is through.
void TlsSocket::end_our_direction() {
  if (notified_ || failure_.has_value() || phase_ != Phase::open || queue_.ops_pending() != 0 ||
      (closing_ != Closing::half && closing_ != Closing::graceful)) {
    return;
  }
  const auto need = into_wire([this](CipherOut& out) { return engine_->close_notify(out); });
  if (need.has_value()) {
    notified_ = true;
  } else if (need.error().code() == Code::invalid_state) {
    waits_for_input_ = true;  // a renegotiation is under way: its end, or the deadline of the close, comes first
  } else {
    failed_above_ = true;
    end_with(need.error());
  }
}

// sendable: a drainer would find something to do.
bool TlsSocket::sendable() const {
  if (phase_ == Phase::connecting || phase_ == Phase::closed || send_failure_.has_value()) {
    return false;
  }
  if (queue_.wire_bytes() > 0) {
    return true;
  }
  const bool wants_notify = !notified_ && (closing_ == Closing::half || closing_ == Closing::graceful);
  return phase_ == Phase::open && !waits_for_input_ &&
         (queue_.ops_pending() > 0 || wants_notify || want_renegotiate_ || want_update_keys_);
}

// Notes the first cause of the end; finish() does the rest on the loop's thread. Every hook of the loop comes by there;
// a verb on another thread schedules the socket once its mutex is open.
void TlsSocket::end_with(const Error& error) {
  if (!failure_.has_value() && !orderly_) {
    failure_ = error;
  }
}

void TlsSocket::update_stage() {
  if (phase_ == Phase::closed) {
    stage_ = finished_ ? Stage::undestroyed : Stage::closing;
  } else if (closing_ == Closing::graceful || closing_ == Closing::abort || failure_.has_value()) {
    stage_ = Stage::closing;
  } else if (phase_ == Phase::connecting) {
    stage_ = Stage::connecting;
  } else {
    stage_ = phase_ == Phase::handshaking ? Stage::handshaking : Stage::open;
  }
}

}  // namespace rig
