// Doctored subjects: the reference layer behind a wrapper that does other than what it was asked for.
#pragma once

#include <cstdint>

#include "harness/subjects/subject.h"

namespace rig {

// Doctoring is what the wrapper does.
enum class Doctoring : std::uint8_t {
  nothing,
  other_poller,           // loops run on poll, whatever was asked for
  other_fast_track,       // loops have the other fast track
  other_nodelay_client,   // connections have the other Nagle setting
  other_nodelay_server,   // accepted sockets have it
  other_tls,              // contexts speak TLS 1.3 where 1.2 was asked for
  other_library_client,   // client contexts are made with mbedTLS
  other_library_server,   // server contexts are
  other_version_told,     // info() names another version of the library
  certificates_for_psk,   // contexts authenticate by certificates instead of the key
  verification_off,       // client contexts accept every certificate
  other_host,             // connections are made to another host than the certificate names
  fast_track_hidden,      // fast track is always on, and info() says it is not
  poller_missing,         // no poller but select
  tls12_missing,          // the library cannot do TLS 1.2
  psk_missing,            // the library cannot authenticate by PSK
  fast_track_always_on,   // the fast track cannot be switched off, as the capabilities say
  library_missing,        // the library is not there
  loops_deliver_nothing,  // loop_turn returns, and has done nothing
  notes_its_sends,        // each send allocates a note, and is refused where there is no memory for it
  forgets_its_sends,      // each send allocates a note, and is answered as pending, and forgotten, where there is none
  listens_without_bound,  // listeners take as many connections as come
  hurries,                // a connection's limits are a quarter of what was asked for
  dawdles,                // they are ten times that
  misnames_lack,          // a lack of memory is told as an internal error
};

// make_doctored wraps house_subject(). There is one doctored subject in the process: it must be called while no run is
// under way, and loops that were not given back keep what they had.
const rig_subject* make_doctored(Doctoring doctoring);

}  // namespace rig
