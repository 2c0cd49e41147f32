// A program that knows nothing of the rig: two sessions of mbedTLS that talk. Its argument is the mistake that it
// makes, or "none"; the others are not looked at. It is what `tlsrig probe` is tested on.
#include <cstdio>
#include <string_view>
#include <vector>

#include "backends/mbedtls/door/tests/raw_pair.h"

int main(int argc, char** argv) {
  const std::string_view mistake = argc > 1 ? argv[1] : "none";
  rig::test::Pair pair;
  if (!pair.shake_hands()) {
    std::fputs("probed: no handshake\n", stderr);
    return 9;
  }
  const std::vector<unsigned char> text(3000, 'x');
  pair.up.bytes_max = 1000;
  mbedtls_ssl_write(pair.client.context(), text.data(), text.size());
  pair.up.bytes_max = 10'000;
  mbedtls_ssl_write(pair.client.context(), text.data(), mistake == "shorter" ? 100 : text.size());
  mbedtls_ssl_close_notify(pair.client.context());
  return mistake == "own_code" ? 7 : 0;
}
