#include "reports/tests/sample.h"

#include <array>

#include "harness/base/prng.h"

namespace rig {
namespace {

constexpr std::array libraries{"openssl", "gnutls", "mbedtls"};
constexpr std::array versions{"OpenSSL 3.0.17 1 Jul 2025", "GnuTLS 3.7.9", "mbed TLS 2.28.3"};
constexpr std::array suite_names{"send_load",  "close_with_pending", "echo_64k",   "renegotiate_in_flight",
                                 "peer_reset", "handshake_deadline", "update_keys"};

void make_fail(Verdict& verdict) {
  verdict.kind = VerdictKind::fail;
  verdict.violations = {
      {Law::c1_exactly_once, "client 0", "op 17 of 16384 bytes was pending and never completed."},
      {Law::s1_stream, "server 0", "where byte 3 of op 18 was due, byte 16384 of op 17 came again."},
      {Law::h1_nothing_left, "client 1", hostile_text},
  };
  verdict.violation_count = 53;
  verdict.reason = "C1, client 0: op 17 of 16384 bytes was pending and never completed.";
}

void make_hang(Verdict& verdict) {
  verdict.kind = VerdictKind::hang;
  verdict.reason = std::string("nothing happened any more during delivery: client 0 waits for sent\n") + hostile_text;
}

void make_vacuous(Verdict& verdict) {
  verdict.kind = VerdictKind::vacuous;
  verdict.reason = "the situation was not reached: pending_at_close is 0, and was to be at least 1";
}

void decide(Verdict& verdict, Prng& prng) {
  switch (prng.below(60)) {
    case 0:
      make_fail(verdict);
      break;
    case 1:
      make_hang(verdict);
      break;
    case 2:
      make_vacuous(verdict);
      break;
    default:
      break;
  }
  if (verdict.kind != VerdictKind::pass) {
    verdict.repro = "tlsrig replay reports/latest/scenarios/" + verdict.suite + "." + verdict.cell + ".scn";
  }
}

Verdict verdict_at(const std::string& suite, const Cell& cell, std::size_t client, std::size_t server, Prng& prng) {
  Verdict verdict;
  verdict.kind = VerdictKind::pass;
  verdict.suite = suite;
  verdict.cell_claimed = cell;
  verdict.cell = cell_name(cell);
  verdict.seed = 17;
  verdict.seconds = 0.02 + static_cast<double>(prng.below(900)) / 1000;
  verdict.counters = {{"ops", prng.below(400)}, {"ops_pending", prng.below(200)}, {"bytes", prng.below(1 << 24)}};
  if (cell.tls == TlsChoice::tls13 && (client == 2 || server == 2)) {
    verdict.kind = VerdictKind::skip;
    verdict.reason = "mbedtls cannot do TLS 1.3";
    return verdict;
  }
  verdict.used = {versions[client],
                  versions[server],
                  std::string(word(cell.tls)),
                  "TLS_AES_256_GCM_SHA384",
                  std::string(word(cell.poller)),
                  cell.fast_track ? "on" : "off",
                  "on",
                  "off"};
  decide(verdict, prng);
  return verdict;
}

}  // namespace

Report sample_report(std::size_t suites) {
  Report report;
  report.title = "tlsrig, quick matrix";
  report.made_at = "21 November 2026, Linux 6.1, x86_64";
  Prng prng(4);
  for (std::size_t s = 0; s < suites; ++s) {
    const std::string suite = suite_names[s % suite_names.size()] +
                              (s < suite_names.size() ? "" : "_" + std::to_string(s / suite_names.size() + 1));
    for (std::size_t pairing = 0; pairing < libraries.size() * libraries.size(); ++pairing) {
      for (const TlsChoice tls : {TlsChoice::tls12, TlsChoice::tls13}) {
        for (std::size_t column = 0; column < 6; ++column) {
          Cell cell;
          cell.client = libraries[pairing / libraries.size()];
          cell.server = libraries[pairing % libraries.size()];
          cell.tls = tls;
          cell.poller = static_cast<PollerChoice>(column / 2);
          cell.fast_track = column % 2 == 0;
          report.verdicts.push_back(
              verdict_at(suite, cell, pairing / libraries.size(), pairing % libraries.size(), prng));
        }
      }
    }
  }
  // A place with two seeds, and another subject in the lab.
  Verdict again = report.verdicts.front();
  again.seed = 18;
  make_fail(again);
  report.verdicts.push_back(again);
  Verdict foreign = again;
  foreign.cell_claimed.subject = "./mine.so";
  foreign.cell_claimed.world = World::lab;
  foreign.cell = cell_name(foreign.cell_claimed);
  make_hang(foreign);
  report.verdicts.push_back(foreign);
  make_vacuous(report.verdicts[7]);
  return report;
}

}  // namespace rig
