#include "fuzz/engine_pairs.h"

#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "fuzz/planted.h"
#include "fuzz/psk_engine.h"
#include "harness/engine/forwarding_engine.h"
#include "harness/engine/pair.h"
#include "harness/oracle/hygiene_probe.h"
#include "harness/scenario/library_watch.h"

namespace rig {
namespace {

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

 private:
  template <class Verb>
  std::invoke_result_t<Verb&> around(const char* name, Verb&& verb) {
    planting_.before();
    auto answer = verb();
    LibraryWatch::control_leaves();
    probe_.after(name);
    return answer;
  }

  Planting& planting_;
  HygieneProbe probe_;
};

std::uint64_t code_of(const std::optional<Error>& error) {
  return error.has_value() ? static_cast<std::uint64_t>(error->code()) + 1 : 0;
}

std::string_view deed_name(PairDeed deed) {
  constexpr std::array<std::string_view, pair_deeds> names{"step",  "send", "renegotiate", "update_keys",
                                                           "close", "hear", "end"};
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

struct EnginePairs::Pairs {
  std::vector<EnginePair> all;
};

EnginePairs::EnginePairs(const PairsPlan& plan, Planting& planting, ViolationLog& log)
    : pairs_(std::make_unique<Pairs>()) {
  const auto engine = [&](Role role, const std::string& where) {
    auto made = make_psk_engine({.library = plan.library,
                                 .role = role,
                                 .version = plan.tls13 ? TlsVersion::tls13 : TlsVersion::tls12,
                                 .renegotiation = true});
    return std::make_unique<PlantedBefore>(planted_engine(std::move(made)), planting, where, log);
  };
  PairKnobs knobs;
  knobs.out_bytes_max = plan.out_bytes_max;
  for (std::size_t i = 0; i < plan.pairs; ++i) {
    pairs_->all.emplace_back(engine(Role::client, "engine client " + std::to_string(i)),
                             engine(Role::server, "engine server " + std::to_string(i)), knobs);
  }
}

EnginePairs::~EnginePairs() = default;

Answer EnginePairs::act(std::size_t number, bool server, PairDeed deed, std::size_t amount, ByteView said) {
  EnginePair& pair = pairs_->all[number];
  const Side side = server ? Side::server : Side::client;
  bool moved = true;
  switch (deed) {
    case PairDeed::step:
      moved = pair.step(side);
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
  }
  const PairEnd& end = pair.end(side);
  return {.call = std::string(deed_name(deed)) + " of the " + (server ? "server" : "client") + " of pair " +
                  std::to_string(number),
          .figures = {moved, end.handshake_done, end.written, end.received, end.clean_end, end.close_sent,
                      code_of(end.failure), code_of(end.refusal), static_cast<std::uint64_t>(end.last_need)}};
}

}  // namespace rig
