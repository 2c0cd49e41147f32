#include "fuzz/engine_pairs.h"

#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "fuzz/engine_nature.h"
#include "fuzz/planted.h"
#include "fuzz/psk_engine.h"
#include "harness/engine/forwarding_engine.h"
#include "harness/engine/pair.h"
#include "harness/oracle/hygiene_probe.h"
#include "harness/scenario/library_watch.h"

namespace rig {
namespace {

// called has something planted before the call, and asks what was left behind it.
template <class Call>
std::invoke_result_t<Call&> called(Planting& planting, const HygieneProbe& probe, const char* name, Call& call) {
  planting.before();
  auto answer = call();
  LibraryWatch::control_leaves();
  probe.after(name);
  return answer;
}

// PlantedBefore is an engine in front of whose verbs something is planted, and behind which nothing may be left.
class PlantedBefore final : public ForwardingEngine {
 public:
  PlantedBefore(std::unique_ptr<TlsEngine> inner, Planting& planting, std::string where, ViolationLog& log)
      : ForwardingEngine(std::move(inner)), planting_(planting), probe_(std::move(where), log) {}

  std::expected<Need, Error> handshake(CipherOut& out) override {
    return around("handshake", [&] { return inner_->handshake(out); });
  }
  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override {
    return around("write", [&] { return inner_->write(plain, out); });
  }
  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override {
    return around("read", [&] { return inner_->read(plain, out); });
  }
  std::expected<Need, Error> renegotiate(CipherOut& out) override {
    return around("renegotiate", [&] { return inner_->renegotiate(out); });
  }
  std::expected<Need, Error> update_keys(CipherOut& out) override {
    return around("update_keys", [&] { return inner_->update_keys(out); });
  }
  std::expected<Need, Error> close_notify(CipherOut& out) override {
    return around("close_notify", [&] { return inner_->close_notify(out); });
  }
  std::expected<Bytes, Error> session() override {
    return around("session", [&] { return inner_->session(); });
  }

 private:
  template <class Verb>
  std::invoke_result_t<Verb&> around(const char* name, Verb&& verb) {
    return called(planting_, probe_, name, verb);
  }

  Planting& planting_;
  HygieneProbe probe_;
};

std::uint64_t code_of(const std::optional<Error>& error) {
  return error.has_value() ? static_cast<std::uint64_t>(error->code()) + 1 : 0;
}

template <class T>
std::uint64_t code_of(const std::expected<T, Error>& answer) {
  return code_of(answer.has_value() ? std::nullopt : std::optional(answer.error()));
}

std::string_view deed_name(PairDeed deed) {
  constexpr std::array<std::string_view, pair_deeds> names{"step",  "send", "renegotiate", "update_keys",
                                                           "close", "hear", "end",         "session",
                                                           "again", "ask",  "settle",      "refuse"};
  return names[static_cast<std::size_t>(deed)];
}

}  // namespace

void Planting::before() {
  constexpr std::array errnos{EAGAIN, EPIPE, ECONNRESET, EINTR, ENOMEM, EBADF, ETIMEDOUT, EIO};
  errno = 0;
  if (plants_ && (pattern_ >> (calls_++ % 8) & 1) != 0) {
    LibraryWatch::control_enters();
    errno = errnos[errno_choice_ % errnos.size()];
  }
}

// One is a pair, what it is like, and the session that its client was last asked for.
struct One {
  Nature nature;
  Bytes session;
  std::unique_ptr<EnginePair> pair;
};

struct EnginePairs::Pairs {
  Pairs(const PairsPlan& the_plan, Planting& the_planting, ViolationLog& the_log)
      : plan(the_plan), planting(the_planting), log(the_log) {}

  std::unique_ptr<TlsEngine> watched(std::unique_ptr<TlsEngine> engine, Role role, std::size_t number) {
    const std::string where = std::string(role == Role::client ? "engine client " : "engine server ");
    return std::make_unique<PlantedBefore>(planted_engine(std::move(engine)), planting, where + std::to_string(number),
                                           log);
  }

  // asked calls what is no verb of an engine.
  template <class Call>
  std::invoke_result_t<Call&> asked(const char* name, Call&& call) {
    return called(planting, HygieneProbe("backend", log), name, call);
  }

  // of_its_nature makes engines of a pair; nothing if the library refuses one of them.
  std::unique_ptr<EnginePair> of_its_nature(const Nature& nature, std::size_t number, const Bytes& resume) {
    if (nature.client == nullptr || nature.server == nullptr) {
      return nullptr;
    }
    EngineConfig config = nature.connect;
    config.resume = resume;
    auto client = asked("make_engine", [&] { return nature.client->make_engine(config); });
    auto server = asked("make_engine", [&] { return nature.server->make_engine({}); });
    if (!client.has_value() || !server.has_value()) {
      return nullptr;
    }
    return paired(std::move(*client), std::move(*server), number);
  }

  std::unique_ptr<EnginePair> with_keys(std::size_t number) {
    const auto engine = [&](Role role) {
      return make_psk_engine({.library = plan.library,
                              .role = role,
                              .version = plan.tls13 ? TlsVersion::tls13 : TlsVersion::tls12,
                              .renegotiation = true});
    };
    return paired(engine(Role::client), engine(Role::server), number);
  }

  std::unique_ptr<EnginePair> paired(std::unique_ptr<TlsEngine> client, std::unique_ptr<TlsEngine> server,
                                     std::size_t number) {
    PairKnobs knobs;
    knobs.out_bytes_max = plan.out_bytes_max;
    return std::make_unique<EnginePair>(watched(std::move(client), Role::client, number),
                                        watched(std::move(server), Role::server, number), knobs);
  }

  const PairsPlan plan;
  Planting& planting;
  ViolationLog& log;
  std::vector<One> all;
};

namespace {

Bytes spoilt(Bytes session, std::size_t how) {
  if (session.empty() || how == 0) {
    return session;
  }
  if (how % 4 == 1) {
    session.resize(how % session.size());
  } else {
    session[how % session.size()] ^= static_cast<std::uint8_t>(how);
  }
  return session;
}

// settle answers how many rounds it took. A byte at a time may cross, and a large send takes a round for each record.
std::uint64_t settle(EnginePair& pair) {
  constexpr std::uint64_t rounds_max = 200;
  std::uint64_t rounds = 0;
  while (rounds < rounds_max) {
    const bool client = pair.step(Side::client);
    const bool server = pair.step(Side::server);
    if (!client && !server) {
      break;
    }
    ++rounds;
  }
  return rounds;
}

// ask_verb calls one verb of a side whether or not it is its turn. What is written here is not what the pair counts on:
// the streams are compared by nobody.
std::uint64_t ask_verb(EnginePair& pair, Side side, std::size_t which) {
  const ByteView little = position_coded(side, pair.end(side).written, 1);  // what waits is offered again as it was
  return pair.call(side, [&](TlsEngine& engine, CipherOut& out) {
    CipherOut no_room{MutableBytes()};
    CipherOut& room = which / 8 % 2 == 0 ? out : no_room;
    switch (which % 8) {
      case 0:
        return code_of(engine.handshake(room));
      case 1:
        return code_of(engine.write(which / 16 % 2 == 0 ? ByteView() : little, room));
      case 2:
        return code_of(engine.read(MutableBytes(), room));
      case 3:
        return code_of(engine.renegotiate(room));
      case 4:
        return code_of(engine.update_keys(room));
      case 5:
        return code_of(engine.feed({}));
      case 6:
        return static_cast<std::uint64_t>(engine.facts().version) * 8 + engine.facts().resumed * 4U +
               engine.facts().peer_verified * 2U + engine.facts().psk;
      default:
        return code_of(engine.close_notify(room));
    }
  });
}

}  // namespace

EnginePairs::EnginePairs(const PairsPlan& plan, Planting& planting, ViolationLog& log)
    : pairs_(std::make_unique<Pairs>(plan, planting, log)) {
  for (std::size_t number = 0; number < plan.pairs; ++number) {
    One& one = pairs_->all.emplace_back();
    if (plan.natures != nullptr) {
      one.nature = nature_of(*plan.natures, plan.library);
      one.pair = pairs_->of_its_nature(one.nature, number, {});
    }
    if (one.pair == nullptr) {
      one.pair = pairs_->with_keys(number);
    }
  }
}

EnginePairs::~EnginePairs() = default;

Answer EnginePairs::act(std::size_t number, bool server, PairDeed deed, std::size_t amount, ByteView said) {
  One& one = pairs_->all[number];
  EnginePair& pair = *one.pair;
  const Side side = server ? Side::server : Side::client;
  std::uint64_t came = 1;
  switch (deed) {
    case PairDeed::step:
      came = pair.step(side);
      break;
    case PairDeed::send:
      pair.send(side, amount);
      break;
    case PairDeed::renegotiate:
      pair.renegotiate(side);
      break;
    case PairDeed::update_keys:
      pair.update_keys(side);
      break;
    case PairDeed::close:
      pair.close(side);
      break;
    case PairDeed::hear:
      pair.inject(other(side), said);
      break;
    case PairDeed::end:
      pair.cut(other(side));
      break;
    case PairDeed::session: {
      auto exported = pair.engine(side).session();
      came = code_of(exported) * 2 + (exported.has_value() && !exported->empty());
      one.session = exported.has_value() ? std::move(*exported) : std::move(one.session);
      break;
    }
    case PairDeed::again: {
      auto next = pairs_->of_its_nature(one.nature, number, spoilt(one.session, amount));
      came = next != nullptr;
      one.pair = next != nullptr ? std::move(next) : std::move(one.pair);
      break;
    }
    case PairDeed::ask:
      came = ask_verb(pair, side, amount);
      break;
    case PairDeed::settle:
      came = settle(pair);
      break;
    case PairDeed::refuse:
      came = code_of(pairs_->asked("make_context", [&] {
        return refusal_of(*find_backend(pairs_->plan.library), static_cast<std::uint8_t>(amount));
      }));
      break;
  }
  const PairEnd& end = one.pair->end(side);
  return {.call = std::string(deed_name(deed)) + " of the " + (server ? "server" : "client") + " of pair " +
                  std::to_string(number),
          .figures = {came, end.handshake_done, end.written, end.received, end.clean_end, end.close_sent,
                      code_of(end.failure), code_of(end.refusal), static_cast<std::uint64_t>(end.last_need)}};
}

}  // namespace rig
