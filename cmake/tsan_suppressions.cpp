// What thread sanitizer is told to overlook, in every program of the tsan preset.
//
// Debian's OpenSSL is built without the sanitizer: its own locks and atomics order the fields it caches inside shared
// certificates, which cannot be seen from outside. Only what OpenSSL itself touches through intercepted calls (memcmp,
// malloc) is left out; our code around it is checked as ever.
extern "C" const char* __tsan_default_suppressions() {
    return "called_from_lib:libcrypto.so\n"
           "called_from_lib:libssl.so\n";
}
