// Canaries: a backend with one planted defect each, and the situation of the kit that must notice it.
#include <gtest/gtest-spi.h>

#include <algorithm>
#include <array>

#include "harness/engine/conformance/kit.h"
#include "harness/engine/forwarding_engine.h"

namespace rig::conformance {
namespace {

struct HidesHeldData final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  bool readable() const noexcept override { return false; }
};

struct TakesTruncationForAnEnd final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override {
    auto step = inner_->read(plain, out);
    return code_of(step) == Code::truncated ? ReadStep{.end = true} : step;
  }
};

struct ForgetsItsFirstFailure final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override {
    auto step = inner_->read(plain, out);
    return step.has_value() ? step : std::unexpected(Error(Code::internal, "another word"));
  }
};

struct SwallowsUnsupported final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Need, Error> update_keys(CipherOut& out) override {
    auto need = inner_->update_keys(out);
    return code_of(need) == Code::unsupported ? Need::nothing : need;
  }
};

struct LosesTheRetry final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override {
    if (pending_ && plain.size() > 150) {
      pending_ = false;
      return WriteStep{.accepted = plain.size()};
    }
    auto step = inner_->write(plain, out);
    pending_ = step.has_value() && step->accepted < plain.size();
    return step;
  }

 private:
  bool pending_ = false;
};

struct AcceptsTooEarly final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override {
    auto step = inner_->write(plain, out);
    if (step.has_value() && step->need == Need::room) {
      step->accepted += 1;  // a byte that is not in the output
    }
    return step;
  }
};

struct MisnamesVerification final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Need, Error> handshake(CipherOut& out) override {
    auto need = inner_->handshake(out);
    return code_of(need) == Code::verification_failed ? std::unexpected(Error(Code::protocol, "no")) : need;
  }
};

// MeddlesInHandshake may change what a call of the handshake sends, before it is out.
struct MeddlesInHandshake : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Need, Error> handshake(CipherOut& out) final {
    Bytes storage(out.room());
    CipherOut mine{MutableBytes(storage)};
    auto need = inner_->handshake(mine);
    storage.resize(mine.size());
    meddle(storage, need.has_value());
    out.append(storage);
    return need;
  }

 protected:
  virtual void meddle(Bytes& sent, bool went_well) = 0;
};

struct SendsNoAlert final : MeddlesInHandshake {
  using MeddlesInHandshake::MeddlesInHandshake;
  void meddle(Bytes& sent, bool went_well) override {
    if (!went_well) {
      sent.clear();
    }
  }
};

struct NamesTheWrongNeed final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Need, Error> handshake(CipherOut& out) override {
    auto need = inner_->handshake(out);
    return need == Need::room ? Need::input : need;
  }
};

struct LiesAboutItsFacts final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  Facts facts() const override {
    Facts facts = inner_->facts();
    facts.psk = false;
    return facts;
  }
};

struct NamesAnotherLibrary final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  Facts facts() const override {
    Facts facts = inner_->facts();
    facts.library = "another";
    return facts;
  }
};

struct SendsCloseNotifyTwice final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Need, Error> close_notify(CipherOut& out) override {
    auto need = inner_->close_notify(out);
    const std::array<std::uint8_t, 1> more{21};
    if (closed_ && need.has_value()) {
      out.append(more);
    }
    closed_ = true;
    return need;
  }

 private:
  bool closed_ = false;
};

// One size out of many, which no test meets that takes sizes at random.
struct LosesAByteOfFeedsOf37 final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  Status feed(ByteView cipher) override { return inner_->feed(cipher.size() == 37 ? cipher.first(36) : cipher); }
};

using Plant = std::function<std::unique_ptr<TlsEngine>(std::unique_ptr<TlsEngine>)>;

class PlantedContext final : public Context {
 public:
  PlantedContext(std::shared_ptr<const Context> inner, Plant plant) : inner_(std::move(inner)), plant_(plant) {}
  std::expected<std::unique_ptr<TlsEngine>, Error> make_engine(const EngineConfig& config) const override {
    RIG_TRY(engine, inner_->make_engine(config));
    return plant_(std::move(engine));
  }

 private:
  std::shared_ptr<const Context> inner_;
  Plant plant_;
};

// TrustingContext checks nobody who comes with a session.
class TrustingContext final : public Context {
 public:
  TrustingContext(std::shared_ptr<const Context> checks, std::shared_ptr<const Context> checks_nobody)
      : checks_(std::move(checks)), checks_nobody_(std::move(checks_nobody)) {}
  std::expected<std::unique_ptr<TlsEngine>, Error> make_engine(const EngineConfig& config) const override {
    return (config.resume.empty() ? checks_ : checks_nobody_)->make_engine(config);
  }

 private:
  std::shared_ptr<const Context> checks_;
  std::shared_ptr<const Context> checks_nobody_;
};

// Reworded tells a failure of one class in the same sentence whatever it was, in every verb.
template <Code code, const auto& sentence>
struct Reworded final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Need, Error> handshake(CipherOut& out) override { return told(inner_->handshake(out)); }
  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override {
    return told(inner_->write(plain, out));
  }
  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override {
    return told(inner_->read(plain, out));
  }
  std::expected<Need, Error> renegotiate(CipherOut& out) override { return told(inner_->renegotiate(out)); }
  std::expected<Need, Error> update_keys(CipherOut& out) override { return told(inner_->update_keys(out)); }
  std::expected<Need, Error> close_notify(CipherOut& out) override { return told(inner_->close_notify(out)); }
  Status feed(ByteView cipher) override { return told(inner_->feed(cipher)); }

 private:
  template <typename Answer>
  static Answer told(Answer answer) {
    return code_of(answer) != code ? answer : std::unexpected(Error(code, sentence));
  }
};

// MisnamesAlerts tells of an alert under a name that it has nowhere.
constexpr char alert_of_no_name[] = "the peer sent the fatal alert trouble (48)";
using MisnamesAlerts = Reworded<Code::peer_alert, alert_of_no_name>;

// LacksTheReason has lost what the library said of a failure.
constexpr char no_reason[] = "the peer's certificate was not accepted: (-9984)";
using LacksTheReason = Reworded<Code::verification_failed, no_reason>;

// LacksTheName does not say who was expected, LacksTheProtocol not what the peer speaks.
constexpr char no_name[] = "the peer's certificate is issued to somebody else";
using LacksTheName = Reworded<Code::verification_failed, no_name>;
constexpr char no_protocol[] = "the peer's first record has a wrong version";
using LacksTheProtocol = Reworded<Code::protocol, no_protocol>;

// AgreesOnNothing has no protocol to tell.
struct AgreesOnNothing final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  Facts facts() const override {
    Facts facts = inner_->facts();
    facts.alpn.clear();
    return facts;
  }
};

// InventsASession exports one where there is none.
struct InventsASession final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Bytes, Error> session() override {
    auto exported = inner_->session();
    return exported.has_value() && exported->empty() ? Bytes(40, 1) : exported;
  }
};

// SendsAnotherAlert refuses for the right reason and tells the peer a wrong one.
struct SendsAnotherAlert final : MeddlesInHandshake {
  using MeddlesInHandshake::MeddlesInHandshake;
  void meddle(Bytes& sent, bool /*went_well*/) override {
    constexpr std::size_t alert_bytes = 7;
    constexpr std::uint8_t alert_type = 21;
    if (sent.size() >= alert_bytes && sent[sent.size() - alert_bytes] == alert_type) {
      sent.back() = 90;  // user_canceled
    }
  }
};

// SaysALargeCurve has another curve in its ServerKeyExchange; the signature does not cover it.
struct SaysALargeCurve final : MeddlesInHandshake {
  using MeddlesInHandshake::MeddlesInHandshake;
  void meddle(Bytes& sent, bool /*went_well*/) override {
    constexpr std::uint8_t secp521r1 = 25;
    for (const std::uint8_t usual : {23, 29}) {
      const std::array<std::uint8_t, 3> named_curve{3, 0, usual};
      const auto said = std::ranges::search(sent, named_curve);
      if (!said.empty()) {
        said.back() = secp521r1;
      }
    }
  }
};

// MisnamesWhatIsUnderWay refuses for good what cannot be done just now.
struct MisnamesWhatIsUnderWay final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Need, Error> renegotiate(CipherOut& out) override {
    auto need = inner_->renegotiate(out);
    return code_of(need) != Code::invalid_state ? need : std::unexpected(Error(Code::unsupported, "never"));
  }
};

// StartsHalfSaid has a renegotiation started whose first message is not out yet.
struct StartsHalfSaid final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Need, Error> renegotiate(CipherOut& out) override {
    auto need = inner_->renegotiate(out);
    return need.has_value() ? Need::nothing : need;
  }
};

// Renamed tells a failure of one class as one of another.
template <Code code, Code told>
struct Renamed final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override {
    auto step = inner_->write(plain, out);
    return code_of(step) != code ? step : std::unexpected(Error(told, step.error().detail()));
  }
};

// ForgetsItsClose would renegotiate again behind its own close_notify.
struct ForgetsItsClose final : ForwardingEngine {
  using ForwardingEngine::ForwardingEngine;
  std::expected<Need, Error> close_notify(CipherOut& out) override {
    closed_ = true;
    return inner_->close_notify(out);
  }
  std::expected<Need, Error> renegotiate(CipherOut& out) override {
    return closed_ ? Need::nothing : inner_->renegotiate(out);
  }

 private:
  bool closed_ = false;
};

// Whim is what is wrong with a planted backend itself.
enum class Whim : std::uint8_t {
  none,
  blind,     // its contexts check nobody
  generous,  // it gives and takes tickets whatever it was told
  unshaken,  // it takes no notice of a key log that fails
  lax,       // where a context cannot be, it makes another one
  wordy,     // its version is a sentence
  alarmed,   // it tells of entries that nobody has left
  trusting,  // it takes a session for a proof of anything
};

std::uint64_t always_an_entry(char* sentence, std::uint64_t) {
  *sentence = '!';
  return 1;
}
constexpr AmbientSource alarm{.name = "alarm", .peek = always_an_entry, .clear = [] {}};

// PlantedBackend is `inner` with a defect in its engines or in its contexts.
class PlantedBackend final : public Backend {
 public:
  PlantedBackend(Backend& inner, Plant plant, Whim whim) : inner_(inner), plant_(std::move(plant)), whim_(whim) {}
  std::string_view name() const noexcept override { return inner_.name(); }
  std::string runtime_version() const override {
    return (whim_ == Whim::wordy ? "this is " : "") + inner_.runtime_version();
  }
  const AmbientSource* ambient() const noexcept override { return whim_ == Whim::alarmed ? &alarm : inner_.ambient(); }
  const Capabilities& capabilities() const noexcept override { return inner_.capabilities(); }
  std::expected<std::shared_ptr<const Context>, Error> make_context(const ContextConfig& config) override {
    ContextConfig changed = config;
    if (whim_ == Whim::blind) {
      changed.peer_check = PeerCheck::none;
    }
    if (whim_ == Whim::generous) {
      changed.session_tickets = true;
    }
    if (whim_ == Whim::unshaken && config.key_log) {
      changed.key_log = [log = config.key_log](std::string_view line) {
        try {
          log(line);
        } catch (...) {
          return;
        }
      };
    }
    if (whim_ == Whim::lax && !inner_.make_context(config).has_value()) {
      changed = ContextConfig{};
      changed.role = config.role;
      changed.psk = test_psk();
    }
    RIG_TRY(context, inner_.make_context(changed));
    if (whim_ == Whim::trusting) {
      changed.peer_check = PeerCheck::none;
      RIG_TRY(checks_nobody, inner_.make_context(changed));
      context = std::make_shared<TrustingContext>(std::move(context), std::move(checks_nobody));
    }
    return std::make_shared<PlantedContext>(std::move(context), plant_);
  }

 private:
  Backend& inner_;
  Plant plant_;
  Whim whim_;
};

// is_noticed runs the situation's body with the planted backend on both sides and says whether it failed.
bool is_noticed(const std::string& situation, const Cell& cell, const Plant& plant, Whim whim) {
  PlantedBackend planted(*cell.client, plant, whim);
  const Cell planted_cell{.client = &planted, .server = &planted, .version = cell.version, .auth = cell.auth};
  const auto body = cell_bodies().find(situation);
  if (body == cell_bodies().end()) {
    ADD_FAILURE() << "there is no situation " << situation;
    return false;
  }
  testing::TestPartResultArray results;
  bool threw = false;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    try {
      body->second(planted_cell);
    } catch (const std::exception&) {
      threw = true;
    }
  }
  for (int i = 0; i < results.size(); ++i) {
    if (results.GetTestPartResult(i).failed()) {
      return true;
    }
  }
  return threw;
}

template <typename Defect>
std::unique_ptr<TlsEngine> plant(std::unique_ptr<TlsEngine> inner) {
  return std::make_unique<Defect>(std::move(inner));
}

struct Canary {
  const char* name;
  const char* situation;
  Auth auth;
  Plant plant;
  Whim whim = Whim::none;
};

}  // namespace

void register_canaries() {
  const Canary canaries[] = {
      {"hides_held_data", "coalesced_feed", Auth::psk, plant<HidesHeldData>},
      {"takes_truncation_for_an_end", "truncation_after_data", Auth::psk, plant<TakesTruncationForAnEnd>},
      {"forgets_its_first_failure", "plaintext_http_peer", Auth::certificate, plant<ForgetsItsFirstFailure>},
      {"swallows_unsupported", "key_updates_need_tls13", Auth::psk, plant<SwallowsUnsupported>},
      {"loses_the_retry", "write_retry_at_every_cut", Auth::psk, plant<LosesTheRetry>},
      {"accepts_too_early", "write_retry_at_every_cut", Auth::psk, plant<AcceptsTooEarly>},
      {"misnames_what_comes_behind_a_close", "nothing_is_sent_behind_the_close", Auth::psk,
       plant<Renamed<Code::invalid_state, Code::protocol>>},
      {"forgets_its_close", "nothing_is_sent_behind_the_close", Auth::psk, plant<ForgetsItsClose>},
      {"misnames_a_crossing_goodbye", "goodbye_crosses_a_renegotiation", Auth::psk,
       plant<Renamed<Code::handshake_failed, Code::protocol>>},
      {"misnames_what_is_under_way", "write_retry_at_every_cut", Auth::psk, plant<MisnamesWhatIsUnderWay>},
      {"starts_half_said", "renegotiation_start_cut", Auth::psk, plant<StartsHalfSaid>},
      {"is_alarmed_by_contexts", "handshake_echo_close", Auth::psk, plant<ForwardingEngine>, Whim::alarmed},
      {"sends_no_alert_of_versions", "versions_below_the_lowest", Auth::psk, plant<SendsNoAlert>},
      {"misnames_verification", "server_certificates", Auth::certificate, plant<MisnamesVerification>},
      {"sends_no_alert", "server_certificates", Auth::certificate, plant<SendsNoAlert>},
      {"names_the_wrong_need", "every_output_capacity", Auth::psk, plant<NamesTheWrongNeed>},
      {"names_the_wrong_need_in_long_flights", "certificates_in_every_output_capacity", Auth::certificate,
       plant<NamesTheWrongNeed>},
      {"loses_a_byte_of_feeds_of_37", "certificates_in_every_feed_size", Auth::certificate,
       plant<LosesAByteOfFeedsOf37>},
      {"lies_about_its_facts", "handshake_echo_close", Auth::psk, plant<LiesAboutItsFacts>},
      {"names_another_library", "handshake_echo_close", Auth::psk, plant<NamesAnotherLibrary>},
      {"sends_close_notify_twice", "half_close", Auth::psk, plant<SendsCloseNotifyTwice>},
      {"checks_no_certificate", "server_certificates", Auth::certificate, plant<ForwardingEngine>, Whim::blind},
      {"checks_no_name", "names", Auth::certificate, plant<ForwardingEngine>, Whim::blind},
      {"checks_no_client", "client_certificates", Auth::certificate, plant<ForwardingEngine>, Whim::blind},
      {"misnames_alerts", "server_certificates", Auth::certificate, plant<MisnamesAlerts>},
      {"lacks_the_reason", "server_certificates", Auth::certificate, plant<LacksTheReason>},
      {"invents_a_session", "cut_sessions", Auth::certificate, plant<InventsASession>},
      {"sends_another_alert", "server_certificates", Auth::certificate, plant<SendsAnotherAlert>},
      {"sends_another_alert_of_names", "names", Auth::certificate, plant<SendsAnotherAlert>},
      {"is_wordy", "says_what_it_is", Auth::psk, plant<ForwardingEngine>, Whim::wordy},
      {"is_alarmed", "says_what_it_is", Auth::psk, plant<ForwardingEngine>, Whim::alarmed},
      {"says_a_large_curve", "a_curve_that_costs_little", Auth::certificate, plant<SaysALargeCurve>},
      {"gives_tickets", "resumption_switched_off", Auth::certificate, plant<ForwardingEngine>, Whim::generous},
      {"checks_no_odd_name", "odd_names", Auth::certificate, plant<ForwardingEngine>, Whim::blind},
      {"takes_no_notice_of_its_key_log", "a_key_log_that_fails", Auth::psk, plant<ForwardingEngine>, Whim::unshaken},
      {"takes_any_session", "a_session_is_for_its_host", Auth::certificate, plant<ForwardingEngine>, Whim::trusting},
      {"takes_an_unchecked_session", "a_session_that_nobody_checked", Auth::certificate, plant<ForwardingEngine>,
       Whim::trusting},
      {"says_no_name", "names", Auth::certificate, plant<LacksTheName>},
      {"says_nothing_of_http", "plaintext_http_peer", Auth::certificate, plant<LacksTheProtocol>},
      {"takes_any_check", "checks_and_anchors", Auth::certificate, plant<ForwardingEngine>, Whim::lax},
      {"takes_any_key", "keys_have_bounds", Auth::certificate, plant<ForwardingEngine>, Whim::lax},
      {"takes_keys_of_any_length", "the_longest_keys_work", Auth::psk, plant<ForwardingEngine>, Whim::lax},
      {"takes_any_protocol", "protocols_have_bounds", Auth::certificate, plant<ForwardingEngine>, Whim::lax},
      {"agrees_on_no_protocol", "the_longest_protocols_work", Auth::certificate, plant<AgreesOnNothing>},
      {"takes_any_version", "versions_have_an_order", Auth::certificate, plant<ForwardingEngine>, Whim::lax},
  };
  for (const Canary& canary : canaries) {
    for (const Cell& cell : cells(canary.auth)) {
      if (cell.client != cell.server || cell.version != TlsVersion::tls12) {
        continue;  // one cell per library is enough to show that the situation can fail
      }
      add_test(std::string("canary_") + canary.name, cell.name(), [canary, cell] {
        EXPECT_TRUE(is_noticed(canary.situation, cell, canary.plant, canary.whim))
            << canary.situation << " did not notice the planted defect";
        EXPECT_FALSE(is_noticed(canary.situation, cell, plant<ForwardingEngine>, Whim::none))
            << canary.situation << " fails without a defect as well";
      });
    }
  }
}

}  // namespace rig::conformance
