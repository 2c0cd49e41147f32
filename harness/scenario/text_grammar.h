// The grammar's tables, from which texts are both printed and read: a field, a verb or a condition is one line here.
// Internal to text.h's implementation.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/scenario/scenario.h"
#include "harness/scenario/text.h"
#include "harness/scenario/text_fields.h"

namespace rig {

// CellField and SettingsField are members that a cell line and a set line can name.
using CellField = Field<Cell, std::string, bool, TlsChoice, Auth, World, PollerChoice>;
using SettingsField = Field<Settings, bool, std::uint32_t, std::uint64_t, Peer>;

// cell_fields are the words of the cell line, in the order in which they are printed.
inline constexpr std::array cell_fields{
    CellField{"subject", &Cell::subject},
    CellField{"client", &Cell::client},
    CellField{"server", &Cell::server},
    CellField{"tls", &Cell::tls},
    CellField{"auth", &Cell::auth},
    CellField{"world", &Cell::world},
    CellField{"poller", &Cell::poller},
    CellField{"fast_track", &Cell::fast_track},
    CellField{"nodelay_client", &Cell::nodelay_client},
    CellField{"nodelay_server", &Cell::nodelay_server},
    CellField{"ipv6", &Cell::ipv6},
};

// settings_fields are what a `set` line can name.
inline constexpr std::array settings_fields{
    SettingsField{"connections", &Settings::connections, TextLimits::connections},
    SettingsField{"loop_per_client", &Settings::loop_per_client},
    SettingsField{"one_loop", &Settings::one_loop},
    SettingsField{"relay", &Settings::relay},
    SettingsField{"fresh_process", &Settings::fresh_process},
    SettingsField{"peer", &Settings::peer},
    SettingsField{"refused", &Settings::refused, TextLimits::connections},
    SettingsField{"renegotiation", &Settings::renegotiation},
    SettingsField{"strangers", &Settings::strangers},
    SettingsField{"queue_ops", &Settings::queue_ops},
    SettingsField{"queue_bytes", &Settings::queue_bytes},
    SettingsField{"kernel_send_bytes", &Settings::kernel_send_bytes},
    SettingsField{"kernel_recv_bytes", &Settings::kernel_recv_bytes},
    SettingsField{"says", &Settings::says},
    SettingsField{"connect_timeout_us", &Settings::connect_timeout_us},
    SettingsField{"handshake_timeout_us", &Settings::handshake_timeout_us},
    SettingsField{"close_timeout_us", &Settings::close_timeout_us},
};

// Arguments is what follows the verb of a step.
enum class Arguments : std::uint8_t { none, load, condition, label };

// VerbForm says where a verb may stand and what follows it in a step.
struct VerbForm {
  Verb verb;
  bool in_reactions;
  bool in_steps;
  Arguments arguments = Arguments::none;
};

// verb_forms has the form of each verb, in the order of the enumeration.
inline constexpr std::array verb_forms{
    VerbForm{Verb::close_graceful, true, true},
    VerbForm{Verb::close_abort, true, true},
    VerbForm{Verb::half_close, true, true},
    VerbForm{Verb::destroy, true, true},
    VerbForm{Verb::pause, true, true},
    VerbForm{Verb::resume, true, true},
    VerbForm{Verb::renegotiate, true, true},
    VerbForm{Verb::update_keys, true, true},
    VerbForm{Verb::echo, true, false},
    VerbForm{Verb::echo_elsewhere, true, false},
    VerbForm{Verb::destroy_other, true, false},
    VerbForm{Verb::stop_listening, true, false},
    VerbForm{Verb::say, true, false},
    VerbForm{Verb::open_another, true, false},
    VerbForm{Verb::connect, false, true},
    VerbForm{Verb::send, false, true, Arguments::load},
    VerbForm{Verb::await, false, true, Arguments::condition},
    VerbForm{Verb::align, false, true, Arguments::label},
    VerbForm{Verb::relay_stall, false, true},
    VerbForm{Verb::relay_flow, false, true},
    VerbForm{Verb::relay_reset, false, true},
    VerbForm{Verb::relay_fin, false, true},
};

// form_of is the form of a verb.
constexpr const VerbForm& form_of(Verb verb) {
  return verb_forms[static_cast<std::size_t>(verb)];
}

static_assert([] {
  for (std::size_t i = 0; i < verb_forms.size(); ++i) {
    if (verb_forms[i].verb != static_cast<Verb>(i)) {
      return false;
    }
  }
  return verb_forms.back().verb == Verb::relay_fin;
}());

// counts says whether a number may follow a condition.
constexpr bool counts(Condition condition) {
  switch (condition) {
    case Condition::sent:
    case Condition::received:
    case Condition::pending:
    case Condition::handshakes:
    case Condition::key_updates:
      return true;
    case Condition::connected:
    case Condition::established:
    case Condition::ended:
    case Condition::closed:
    case Condition::peer_closed:
      return false;
  }
  return false;
}

}  // namespace rig
