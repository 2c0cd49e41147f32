#include "harness/scenario/end.h"

#include <algorithm>
#include <utility>

#include "harness/lab/lab.h"
#include "harness/oracle/outcome_check.h"
#include "harness/scenario/app_door.h"
#include "harness/scenario/trace_file.h"
#include "harness/subjects/abi.h"

namespace rig {
namespace {

std::string name_of(const EndPlan& plan) {
  return std::string(word(plan.side)) + " " + std::to_string(plan.connection);
}

bool has_reaction(const EndPlan& plan, auto matches) {
  return std::ranges::any_of(plan.reactions, matches);
}

std::int64_t virtual_now_ns() {
  return lab::running() ? lab::now_ns() : End::never;
}

std::optional<Error> error_of(const rig_error* error) {
  return error == nullptr ? std::nullopt : std::optional(from_abi(*error));
}

}  // namespace

// A destroy waits until no other thread is inside a verb of the socket, and none comes in afterwards: handles of
// subject.h must not be used after destroy(), and threads of a scenario do not know of each other's destroys.
class End::Use {
 public:
  explicit Use(End& end) : end_(end) {
    ++end_.users_;
    if (!end_.destroyed_.load()) {
      socket_ = end_.socket_.load();
    }
  }
  ~Use() { --end_.users_; }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  rig_socket* socket() const { return socket_; }

 private:
  End& end_;
  rig_socket* socket_ = nullptr;
};

// A callback of an app that reacts: a run that waits until everything is through waits for its answer as well.
class End::Reacting {
 public:
  explicit Reacting(End& end) : signal_(end.plan_.reactions.empty() ? nullptr : &end.world_.signal()) {
    if (signal_ != nullptr) {
      signal_->reaction_begins();
    }
  }
  ~Reacting() {
    if (signal_ != nullptr) {
      signal_->reaction_ends();
    }
  }
  Reacting(const Reacting&) = delete;
  Reacting& operator=(const Reacting&) = delete;

 private:
  Signal* const signal_;
};

End::End(EndWorld& world, LoopHost& host, EndPlan plan, StreamCheck& outgoing, StreamCheck& incoming)
    : world_(world),
      host_(host),
      plan_(std::move(plan)),
      name_(name_of(plan_)),
      echoes_(has_reaction(
          plan_,
          [](const Reaction& r) { return r.nth == 0 && (r.verb == Verb::echo || r.verb == Verb::echo_elsewhere); })),
      reacts_to_end_(has_reaction(plan_, [](const Reaction& r) { return r.event == Event::ended; })),
      outgoing_(outgoing),
      incoming_(incoming),
      ledger_(name_, plan_.order_promised ? OpLedger::Order::promised : OpLedger::Order::free, world.log()),
      queue_(name_, plan_.queue, world.log()),
      probe_(name_, world.log()) {}

const rig_socket_callbacks& End::callbacks() {
  static const rig_socket_callbacks table{.connected = on_connected,
                                          .data = on_data,
                                          .ended = on_ended,
                                          .sent = on_sent,
                                          .writable = on_writable,
                                          .closed = on_closed};
  return table;
}

void End::note_begun() {
  begun_ns_ = virtual_now_ns();
}

void End::adopt(rig_socket* socket) {
  note_begun();
  const Reacting reacting(*this);
  socket_ = socket;
  world_.subject().adopt(socket, &callbacks(), this);
  react(Event::accepted);
}

void End::refuse_connect(const Error& error) {
  {
    const MutexLock lock(mutex_);
    connected_outcome_ = {true, error};
    closed_outcome_ = {true, error};
  }
  connected_ = 2;
  closed_ = true;
  destroyed_ = true;
  world_.signal().changed();
}

End::SendAnswer End::send(std::size_t bytes, bool more, ByteView echo) {
  const Use use(*this);
  if (use.socket() == nullptr) {
    return SendAnswer::gone;
  }
  static thread_local Bytes scratch;
  const std::uint64_t token = next_token_++;
  ByteView payload = echo;
  if (echo.empty()) {
    scratch.resize(std::max(scratch.size(), bytes));
    position_code(plan_.connection * 2 + static_cast<std::uint64_t>(plan_.side), token,
                  MutableBytes(scratch).first(bytes));
    payload = ByteView(scratch).first(bytes);
  }
  const auto tell = [&](AppNote::Kind kind) {
    note_in_lab({kind, plan_.side == Side::server, plan_.connection, token});
  };
  tell(AppNote::Kind::issued);
  ledger_.issue(token, payload.size());
  pushes_.issues(more);
  outgoing_.issue(token, payload.size(), echo);
  rig_error error{};
  note_call("send", nullptr);
  const rig_send_result result =
      world_.subject().send(use.socket(), token, payload.data(), payload.size(), more ? RIG_SEND_MORE : 0, &error);
  ledger_.answered(token, result == RIG_SEND_COMPLETED ? OpLedger::Answer::completed
                          : result == RIG_SEND_PENDING ? OpLedger::Answer::pending
                                                       : OpLedger::Answer::refused);
  pushes_.answered(more, result != RIG_SEND_REFUSED, result == RIG_SEND_PENDING);
  note_call("send", result == RIG_SEND_COMPLETED ? "completed" : result == RIG_SEND_PENDING ? "pending" : "refused");
  outgoing_.answered(token, result != RIG_SEND_REFUSED);
  if (result != RIG_SEND_PENDING) {
    tell(AppNote::Kind::final_return);
  }
  probe_.after("send");
  if (result == RIG_SEND_REFUSED) {
    if (error.status != RIG_WOULD_BLOCK && error.status != RIG_CLOSED) {
      give_up(error);
    }
    return error.status == RIG_WOULD_BLOCK ? SendAnswer::full : SendAnswer::gone;
  }
  if (result == RIG_SEND_COMPLETED) {
    ++completed_;
  } else {
    queue_.pending(payload.size());
  }
  world_.signal().changed();
  return result == RIG_SEND_COMPLETED ? SendAnswer::completed : SendAnswer::pending;
}

void End::perform(Verb verb) {
  if (verb == Verb::destroy) {
    destroy();
    return;
  }
  const Use use(*this);
  rig_socket* const socket = use.socket();
  if (socket == nullptr) {
    return;
  }
  const rig_subject& subject = world_.subject();
  rig_error error{};
  rig_status status = RIG_OK;
  note_call(word(verb).data(), nullptr);
  switch (verb) {
    case Verb::close_graceful:
    case Verb::close_abort:
      leave_by(verb);
      pending_at_close_ = std::max(pending_at_close_.load(), ledger_.pending());
      aborted_itself_ = aborted_itself_.load() || verb == Verb::close_abort;
      status = subject.close(socket, verb == Verb::close_abort ? RIG_CLOSE_ABORT : RIG_CLOSE_GRACEFUL, &error);
      break;
    case Verb::half_close:
      leave_by(verb);
      pending_at_close_ = std::max(pending_at_close_.load(), ledger_.pending());
      status = subject.half_close(socket, &error);
      break;
    case Verb::pause:
      status = subject.pause(socket, &error);
      break;
    case Verb::resume:
      note_unread();
      status = subject.resume(socket, &error);
      break;
    case Verb::renegotiate:
      rekeys_with_pending_ += ledger_.pending() > 0 ? 1 : 0;
      status = subject.renegotiate(socket, &error);
      renegotiations_ += status == RIG_OK ? 1 : 0;
      break;
    case Verb::update_keys:
      rekeys_with_pending_ += ledger_.pending() > 0 ? 1 : 0;
      status = subject.update_keys(socket, &error);
      break;
    default:
      return;
  }
  note_call(word(verb).data(), status == RIG_OK ? "ok" : "an error");
  if (status == RIG_OK && (verb == Verb::pause || verb == Verb::resume)) {
    paused_ = verb == Verb::pause;
  }
  probe_.after(word(verb));
  note_status(status, error, word(verb));
  world_.signal().changed();
}

// What arrives while a send is still to answer is received before it is accepted.
void End::note_unread() {
  const std::uint64_t received = incoming_.received_bytes();
  const std::uint64_t accepted = std::max(incoming_.accepted_bytes(), received);
  unread_at_resume_ = std::max(unread_at_resume_.load(), accepted - received);
}

void End::note_status(rig_status status, const rig_error& error, std::string_view verb) {
  // A verb that comes too late for its socket is part of the game: another thread or the peer was faster.
  if (status == RIG_OK || status == RIG_CLOSED) {
    return;
  }
  give_up(error);
  const MutexLock lock(mutex_);
  if (!first_refused_verb_.has_value()) {
    const Error refused = from_abi(error);
    first_refused_verb_ = Error(refused.code(), std::string(verb) + ": " + std::string(refused.detail()));
  }
}

void End::leave_by(Verb verb) {
  int nothing = nobody_left;
  if (!ended_.load() && connected_.load() != 2 && !closed_outcome().came) {
    left_by_.compare_exchange_strong(nothing, static_cast<int>(verb));
  }
  std::int64_t not_yet = never;
  if (verb == Verb::close_graceful) {
    left_ns_.compare_exchange_strong(not_yet, virtual_now_ns());
  }
}

// An app that is refused something, where memory may fail.
void End::give_up(const rig_error& refusal) {
  if (plan_.memory_may_fail && !given_up_.exchange(true)) {
    judge_lack(name_, from_abi(refusal), world_.log());
    host_.post([this] { perform(Verb::close_abort); });
  }
}

void End::destroy() {
  rig_socket* const socket = socket_.load();
  if (socket == nullptr || destroyed_.exchange(true)) {
    return;
  }
  while (users_.load() > 0) {
    std::this_thread::yield();
  }
  leave_by(Verb::destroy);
  if (!closed_.load()) {
    pending_at_close_ = std::max(pending_at_close_.load(), ledger_.pending());
    aborted_itself_ = true;
  }
  world_.subject().destroy(socket);
  probe_.after("destroy");
  world_.signal().changed();
}

void End::react(Event event, ByteView bytes) {
  const std::uint64_t count = ++counts_[static_cast<std::size_t>(event)];
  for (const Reaction& reaction : plan_.reactions) {
    if (reaction.event == event && (reaction.nth == 0 || reaction.nth == count)) {
      perform_on_event(reaction.verb, bytes);
    }
  }
}

void End::perform_on_event(Verb verb, ByteView bytes) {
  acted_inside_ = acted_inside_.load() || (verb != Verb::echo && verb != Verb::echo_elsewhere);
  switch (verb) {
    case Verb::echo:
      echo(bytes);
      break;
    case Verb::echo_elsewhere:
      ++echoes_elsewhere_;
      world_.echo_elsewhere(*this, Bytes(bytes.begin(), bytes.end()));
      break;
    case Verb::destroy_other:
      if (End* other = world_.next_on_side(*this); other != nullptr && &other->host() == &host_) {
        other->destroyed_by_other_ = other->destroyed_by_other_.load() || other->lives();
        other->perform(Verb::close_abort);
        other->destroy();
      }
      break;
    case Verb::destroy:
      destroyed_inside_ = destroyed_inside_.load() || (has_socket() && !destroyed());
      destroy();
      break;
    case Verb::close_abort:
      aborted_inside_ = aborted_inside_.load() || lives();
      perform(verb);
      break;
    case Verb::stop_listening:
      world_.stop_listening(*this);
      break;
    case Verb::say:
      say();
      break;
    case Verb::open_another:
      world_.open_another(*this);
      break;
    default:
      perform(verb);
      break;
  }
}

// Answers from inside the data callback. What the subject's queue refuses waits here, and the reading with it.
void End::echo(ByteView bytes) {
  if (backlog_.empty() && send(bytes.size(), false, bytes) != SendAnswer::full) {
    return;
  }
  const bool first = backlog_.empty();
  backlog_.insert(backlog_.end(), bytes.begin(), bytes.end());
  if (first) {
    perform(Verb::pause);
  }
}

void End::say() {
  constexpr std::size_t say_bytes = 64;
  if (said_.load() < plan_.says) {
    ++said_;
    send(say_bytes, false);
  }
}

void End::flush_backlog() {
  if (backlog_.empty() || send(backlog_.size(), false, backlog_) == SendAnswer::full) {
    return;
  }
  backlog_.clear();
  perform(Verb::resume);
  close_when_through();
}

// The default answer to the peer's end is a graceful close, once everything that is to be echoed is on its way.
void End::close_when_through() {
  if (through_wanted_.load() && backlog_.empty() && echoes_elsewhere_.load() == 0) {
    perform(Verb::close_graceful);
  }
}

void End::echo_done() {
  --echoes_elsewhere_;
  close_when_through();
}

void End::note_call(const char* verb, const char* answer) {
  last_verb_ = verb;
  last_answer_ = answer;
}

std::string End::last_call() const {
  const char* const verb = last_verb_.load();
  const char* const answer = last_answer_.load();
  return verb == nullptr ? "" : verb + (answer == nullptr ? " has not come back" : " answered " + std::string(answer));
}

std::string End::last_callback() const {
  const char* const name = last_callback_.load();
  return name == nullptr ? "" : name;
}

void End::came(const char* name) {
  last_callback_ = name;
  probe_.after(name);
  ledger_.callback(name);
}

void End::on_connected(void* user, const rig_error* error) {
  auto& end = *static_cast<End*>(user);
  const CalledBack called_back(end.name_, "connected");
  const Reacting reacting(end);
  end.came("connected");
  {
    const MutexLock lock(end.mutex_);
    end.connected_outcome_ = {true, error_of(error), virtual_now_ns()};
  }
  end.look();
  end.connected_ = error == nullptr ? 1 : 2;
  end.world_.signal().changed();
  end.react(Event::connected);
}

void End::on_data(void* user, const uint8_t* bytes, size_t count) {
  auto& end = *static_cast<End*>(user);
  const CalledBack called_back(end.name_, "data");
  const Reacting reacting(end);
  end.came("data");
  end.incoming_.received({bytes, count});
  end.world_.signal().changed();
  end.react(Event::data, {bytes, count});
}

void End::on_ended(void* user) {
  auto& end = *static_cast<End*>(user);
  const CalledBack called_back(end.name_, "ended");
  const Reacting reacting(end);
  end.came("ended");
  end.pending_at_end_ = end.ledger_.pending();
  end.ended_ = true;
  end.world_.signal().changed();
  end.react(Event::ended);
  if (!end.reacts_to_end_) {
    end.through_wanted_ = true;
    end.close_when_through();
  }
}

void End::on_sent(void* user, uint64_t token, size_t bytes, const rig_error* error) {
  auto& end = *static_cast<End*>(user);
  const CalledBack called_back(end.name_, "sent");
  const Reacting reacting(end);
  end.probe_.after("sent");
  end.last_callback_ = "sent";
  note_in_lab({AppNote::Kind::completed, end.plan_.side == Side::server, end.plan_.connection, token});
  end.ledger_.completed(token, bytes, error_of(error));
  end.pushes_.completed();
  end.queue_.completed(bytes, error != nullptr);
  if (error != nullptr) {
    const MutexLock lock(end.mutex_);
    if (!end.first_failed_op_.has_value()) {
      end.first_failed_op_ = from_abi(*error);
    }
  }
  ++end.completed_;
  end.world_.signal().changed();
  end.react(Event::sent);
}

void End::on_writable(void* user) {
  auto& end = *static_cast<End*>(user);
  const CalledBack called_back(end.name_, "writable");
  const Reacting reacting(end);
  end.came("writable");
  end.flush_backlog();
  end.world_.signal().changed();
  end.react(Event::writable);
}

void End::on_closed(void* user, const rig_error* error) {
  auto& end = *static_cast<End*>(user);
  const CalledBack called_back(end.name_, "closed");
  end.probe_.after("closed");
  end.last_callback_ = "closed";
  if (end.look()) {
    end.queue_.closed(end.last_look().ops_pending, end.last_look().queued_bytes);
  }
  end.ledger_.closed();
  {
    const MutexLock lock(end.mutex_);
    end.closed_outcome_ = {true, error_of(error), virtual_now_ns()};
  }
  end.react(Event::closed);
  // Last: the run may take the socket back as soon as it sees this.
  end.closed_ = true;
  end.world_.signal().changed();
}

bool End::look() {
  const Use use(*this);
  if (use.socket() == nullptr) {
    return false;
  }
  rig_socket_info info{};
  world_.subject().info(use.socket(), &info);
  probe_.after("info");
  const MutexLock lock(mutex_);
  last_look_ = info;
  looked_ = true;
  return true;
}

rig_socket_info End::last_look() const {
  const MutexLock lock(mutex_);
  return last_look_;
}

End::Outcome End::connected_outcome() const {
  const MutexLock lock(mutex_);
  return connected_outcome_;
}

End::Outcome End::closed_outcome() const {
  const MutexLock lock(mutex_);
  return closed_outcome_;
}

std::optional<Error> End::first_failed_op() const {
  const MutexLock lock(mutex_);
  return first_failed_op_;
}

std::optional<Error> End::first_refused_verb() const {
  const MutexLock lock(mutex_);
  return first_refused_verb_;
}

}  // namespace rig
