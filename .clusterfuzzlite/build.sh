#!/bin/bash -eu
# Builds the fuzzers as OSS-Fuzz and ClusterFuzzLite want them: $OUT/NAME, with a corpus, a dictionary and options.
#
# Takes $SRC, $OUT, $WORK, $CXX, $CC, $LIB_FUZZING_ENGINE and $SANITIZER. It does not take $CFLAGS and $CXXFLAGS: the
# lab and the laws must not be instrumented, and the build says for each target what is (RIG_SANITIZE=fuzzer).
# FUZZERS="canary completion_null" builds these only.

if [ "${SANITIZER:-address}" != address ]; then
  echo "build.sh: there is a build for the address sanitizer only, not for '$SANITIZER'" >&2
  exit 2
fi
unset CFLAGS CXXFLAGS
root=$SRC/tlsrig
build=$WORK/tlsrig
read -ra only <<< "${FUZZERS:-}"

# The fuzzers bring the libraries with them: where they run nothing is installed.
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O2 -g1" \
  -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" \
  -DRIG_SANITIZE=fuzzer -DRIG_FUZZING_ENGINE="$LIB_FUZZING_ENGINE" -DCMAKE_BUILD_RPATH="\$ORIGIN/lib"
if [ ${#only[@]} -gt 0 ]; then
  cmake --build "$build" --target "${only[@]/#/fuzz_}"
else
  cmake --build "$build" --target fuzzers
fi

bring='lib(ssl|crypto|gnutls|nettle|hogweed|gmp|p11-kit|idn2|unistring|tasn1|ffi|mbed|fmt|stdc)'
mkdir -p "$OUT/lib"
for program in "$build"/fuzz/fuzz_*; do
  name=$(basename "$program")
  if [ ! -x "$program" ] || [ -d "$program" ] || [ "$name" = fuzz_canary ]; then
    continue  # the canary fails on purpose
  fi
  cp "$program" "$OUT/$name"
  ldd "$program" | awk -v bring="$bring" '$3 ~ bring {print $3}' |
    xargs -r cp -Lu -t "$OUT/lib"
  target=${name#fuzz_}
  corpus=$root/fuzz/corpus/$target
  if [ ! -d "$corpus" ]; then
    corpus=$root/fuzz/corpus/${target%_*}
  fi
  (cd "$corpus" && zip -q -r "$OUT/${name}_seed_corpus.zip" .)
  dictionary=tls.dict
  printf '[libfuzzer]\nmax_len = 8192\ndict = %s.dict\n' "$name" > "$OUT/$name.options"
  case $target in
    completion_* | differential | scenario_text)
      dictionary=scenario.dict
      ;;
    *)
      echo 'len_control = 0' >> "$OUT/$name.options"
      ;;
  esac
  cp "$root/fuzz/dictionaries/$dictionary" "$OUT/$name.dict"
done
