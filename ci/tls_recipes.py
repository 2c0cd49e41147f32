"""How a TLS library is built: its flags by flavour, and the commands. For ci/tls-libs."""

COMPILER = "clang-19"
# `fuzz` is for the presets fuzz and asan: a program without libFuzzer takes the coverage callbacks of its sanitizer,
# which do nothing. A sanitizer's runtime is the program's; the shared object leaves its symbols open.
FLAVOURS = {
    "plain": "-O2 -g1",
    "fuzz": "-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,fuzzer-no-link",
    "tsan": "-O1 -g1 -fno-omit-frame-pointer -fsanitize=thread",
}
# Where GnuTLS is built without something, it is what a rig has no use for, and what would have to be installed.
GNUTLS_OPTIONS = """
    --enable-shared --disable-static --disable-doc --disable-tests --disable-tools --disable-cxx --disable-guile
    --disable-libdane --disable-nls --disable-hardware-acceleration --without-p11-kit --without-tpm --without-tpm2
    --without-idn --without-zlib --without-brotli --without-zstd --with-included-libtasn1 --with-included-unistring
    """.split()
# What a finished prefix must hold, besides its stamp.
PRODUCTS = {
    "openssl": ("lib/libssl.so", "lib/libcrypto.so", "include/openssl/ssl.h"),
    "gnutls": ("lib/libgnutls.so", "include/gnutls/gnutls.h"),
    "mbedtls": ("lib/libmbedtls.so", "lib/libmbedx509.so", "lib/libmbedcrypto.so", "include/mbedtls/ssl.h"),
}


def openssl(version, flavour, prefix, jobs):
    options = ["no-module", "no-tests"] + ([] if version == "3.0" else ["no-docs", "no-apps"])
    yield ["perl", "Configure", "linux-x86_64-clang", "shared", *options, f"--prefix={prefix}", "--libdir=lib",
           f"--openssldir={prefix}/ssl", f"CC={COMPILER}", f"CFLAGS={FLAVOURS[flavour]}",
           f"LDFLAGS=-Wl,-rpath,{prefix}/lib"]
    yield ["make", f"-j{jobs}", "build_generated"]
    yield ["make", f"-j{jobs}", "build_libs"]
    yield ["make", "install_dev"]


def gnutls(version, flavour, prefix, jobs):
    # A patch of Debian's has made some sources of the autotools younger than what was made of them; the autotools need
    # not be there.
    for names in (["aclocal.m4"], ["configure"], ["config.h.in", "Makefile.in"]):
        chosen = " -o ".join(f"-name {name}" for name in names).split()
        yield ["find", ".", "(", *chosen, ")", "-exec", "touch", "{}", "+"]
    yield ["./configure", f"--prefix={prefix}", f"--libdir={prefix}/lib", *GNUTLS_OPTIONS, f"CC={COMPILER}",
           f"CFLAGS={FLAVOURS[flavour]}"]
    yield ["make", f"-j{jobs}", "-C", "gl"]
    if version == "3.7":
        # What that patch adds: a module of gnulib, which the Makefile that is there does not know.
        added = ("gl_linkedhash_list", "gl_list")
        for name in added:
            yield [COMPILER, *FLAVOURS[flavour].split(), "-fPIC", "-DHAVE_CONFIG_H", "-Igl", "-I.", "-c",
                   f"gl/{name}.c", "-o", f"gl/{name}.o"]
        yield ["ar", "qs", "gl/.libs/libgnu.a", *(f"gl/{name}.o" for name in added)]
    yield ["make", f"-j{jobs}", "-C", "lib", "install"]


def mbedtls(version, flavour, prefix, jobs):
    # Off upstream and on in Debian: without them the library's own globals have no lock.
    for option in ("MBEDTLS_THREADING_C", "MBEDTLS_THREADING_PTHREAD"):
        yield ["python3", "scripts/config.py", "set", option]
    yield ["cmake", "-S", ".", "-B", "out", "-G", "Ninja", "-DENABLE_PROGRAMS=OFF", "-DENABLE_TESTING=OFF",
           "-DMBEDTLS_FATAL_WARNINGS=OFF", "-DUSE_SHARED_MBEDTLS_LIBRARY=ON", "-DUSE_STATIC_MBEDTLS_LIBRARY=OFF",
           "-DCMAKE_BUILD_TYPE=None", f"-DCMAKE_C_COMPILER={COMPILER}", f"-DCMAKE_C_FLAGS={FLAVOURS[flavour]}",
           f"-DCMAKE_INSTALL_PREFIX={prefix}", f"-DCMAKE_INSTALL_RPATH={prefix}/lib", "-DCMAKE_INSTALL_LIBDIR=lib",
           "-DLIB_INSTALL_DIR=lib"]
    yield ["cmake", "--build", "out", f"-j{jobs}"]
    yield ["cmake", "--install", "out"]


RECIPES = {"openssl": openssl, "gnutls": gnutls, "mbedtls": mbedtls}
