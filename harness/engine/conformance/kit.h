// The conformance kit: what every backend must do, asked of every client~server pairing of the build.
//
// Tests are registered at run time, from rig::backends(): suite is the situation, name is the cell, for example
// `close_both.openssl~gnutls.tls12.psk`. Which cells exist follows from capabilities() alone, so nothing is skipped;
// what a backend cannot do must be refused in words, and that is asserted in the same test.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/engine/backend.h"
#include "harness/engine/identities.h"
#include "harness/engine/pair.h"

namespace rig::conformance {

// Auth is how the peers authenticate.
enum class Auth : std::uint8_t { psk, certificate };

// Cell is one pairing, one version, one authentication.
struct Cell {
  Backend* client = nullptr;
  Backend* server = nullptr;
  TlsVersion version = TlsVersion::tls12;
  Auth auth = Auth::psk;

  Backend& backend(Side side) const noexcept { return side == Side::client ? *client : *server; }
  // name is "openssl~gnutls.tls12.psk".
  std::string name() const;
};

// tls_backends are the backends of the build that have TLS at all.
std::vector<Backend*> tls_backends();

// has says whether `backend` has `version`.
bool has(const Backend& backend, TlsVersion version);

// cells are all pairings of the build: a version both have, an authentication both have. The second form keeps one
// authentication only.
std::vector<Cell> cells();
std::vector<Cell> cells(Auth auth);

// able are the cells of `list` whose libraries both declare `capability`.
std::vector<Cell> able(std::vector<Cell> list, bool Capabilities::* capability);

// Setup is what a connection of a cell is made from; a test changes what it is about.
struct Setup {
  ContextConfig client;
  ContextConfig server;
  EngineConfig connect;  // the client's

  ContextConfig& context(Side side) noexcept { return side == Side::client ? client : server; }
};

// default_setup allows exactly the cell's version and authentication; the client connects to "localhost".
Setup default_setup(const Cell& cell);

// renegotiation_setup is default_setup with renegotiation allowed on both sides; can_renegotiate says that the library
// of `starter` can start one there.
Setup renegotiation_setup(const Cell& cell);
bool can_renegotiate(const Cell& cell, Side starter);

// expect_no_new_keys expects that neither way to new keys is open to `from` now: what cannot be done in this cell at
// all is `unsupported`, what cannot be done at this time `invalid_state`. Nothing is sent for it. The cell has
// renegotiation_setup.
void expect_no_new_keys(const Cell& cell, EnginePair& pair, Side from);

// must gives back the value, or fails the test with the Error in words (it throws; GoogleTest reports it).
template <typename Value>
Value must(std::expected<Value, Error> value, std::string_view what) {
  if (!value.has_value()) {
    throw std::runtime_error(std::string(what) + ": " + std::string(code_name(value.error().code())) + ": " +
                             std::string(value.error().detail()));
  }
  return std::move(*value);
}

// Contexts are both sides' contexts, for tests that connect several times.
struct Contexts {
  std::shared_ptr<const Context> client;
  std::shared_ptr<const Context> server;

  EnginePair connect(const EngineConfig& client_config, const PairKnobs& knobs = {}) const;
};
// make_contexts makes both contexts of a cell.
Contexts make_contexts(const Cell& cell, const Setup& setup);

// connect makes both contexts and both engines, and runs nothing.
EnginePair connect(const Cell& cell, const Setup& setup, const PairKnobs& knobs = {});

// connected is connect() with the default setup, and the handshake done.
EnginePair connected(const Cell& cell, const PairKnobs& knobs = {});

// expect_done fails the test unless `outcome` is done.
void expect_done(const PairOutcome& outcome);
// require_done is expect_done that ends the test (it throws).
void require_done(const PairOutcome& outcome, std::string_view what);

// settle runs until neither side can go on, and expects that neither has failed.
void settle(EnginePair& pair);

// expect_traffic sends `bytes` in both directions and expects them to arrive.
void expect_traffic(EnginePair& pair, std::uint64_t bytes);

// alert_of is the number of the alert that an Error of Code::peer_alert tells of; it expects that the alert has the
// name that the RFCs give it.
std::optional<int> alert_of(const Error& error);

// expect_words expects that an error is told in a sentence: something is said, in printable characters, and no place of
// it was left empty, as it is where the library's own words are missing.
void expect_words(const Error& error);

// expect_failure expects that `side` failed with one of `codes`, in words.
void expect_failure(EnginePair& pair, Side side, std::initializer_list<Code> codes);

// expect_alert expects that `side` failed with the peer's alert, and that it is one of `alerts` (their numbers).
void expect_alert(EnginePair& pair, Side side, const std::vector<int>& alerts);

// expect_dead expects that every verb of `side` answers the first failure again, and produces nothing.
void expect_dead(EnginePair& pair, Side side);

// error_text is "code: detail", and "no error" for nothing.
std::string error_text(const std::optional<Error>& error);

// code_of is the code of `answer`, or nothing if it is not an error.
template <typename Value>
std::optional<Code> code_of(const std::expected<Value, Error>& answer) {
  return answer.has_value() ? std::nullopt : std::optional<Code>(answer.error().code());
}

// add_test registers one test of situation `suite`.
void add_test(const std::string& suite, const std::string& name, std::function<void()> body);
// add_cell_test registers one test for each of `list`.
void add_cell_test(const std::string& suite, const std::vector<Cell>& list, std::function<void(const Cell&)> body);

// cell_bodies are the bodies of all situations registered so far, for the canaries.
const std::map<std::string, std::function<void(const Cell&)>>& cell_bodies();

// Each file of the kit registers its tests in one of these.
void register_pairing_tests();
void register_grid_tests();
void register_write_tests();
void register_close_tests();
void register_hostile_tests();
void register_identity_tests();
void register_feature_tests();
void register_session_tests();
void register_renegotiation_tests();
void register_canaries();

}  // namespace rig::conformance
