// Writes seed corpora, most of them from the table of named packets: write_seeds DIRECTORY makes
// DIRECTORY/<fuzz target>/<name>.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "fuzz_input.hpp"
#include "tests/support/packets.hpp"
#include "tests/support/websocket_client.hpp"

namespace {

std::string file_name(std::string name) {
    for (char& c : name)
        if (std::string_view(" #+$/,.\n").find(c) != std::string_view::npos) c = '_';
    return name;
}

void write(const std::filesystem::path& folder, const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(folder);
    std::ofstream(folder / file_name(name), std::ios::binary) << bytes;
}

void write_websocket(const std::filesystem::path& root, const std::string& stream) {
    using namespace fb::test;
    const auto frames = root / "fuzz_websocket_frames";
    const std::string cut_small(1, '\2'), cut_large(1, '\xFF');
    write(frames, "one frame", cut_small + ws_frame(stream));
    write(frames, "fragments", cut_small + ws_frames(stream.substr(0, 2000), 100, true));
    write(frames, "small frames and a Close",
          cut_large + ws_frames(stream.substr(0, 300), 7, false) + ws_frame("x", ws_ping) + ws_frame("", ws_pong) +
              ws_frame("\x03\xE8", ws_close));
    write(frames, "64 bit length", cut_large + ws_frame(std::string(70'000, 'x')));
    write(frames, "text", cut_small + ws_frame("x", ws_text));
    const auto upgrade = root / "fuzz_websocket_upgrade";
    write(upgrade, "good", cut_small + ws_request());
    write(upgrade, "origin", cut_large + ws_request("/mqtt?x", "Origin: https://console.example\r\n"));
    write(upgrade, "body", cut_small + ws_request("/mqtt", "Content-Length: 3\r\n") + "abc");
    write(upgrade, "plain", cut_small + "GET / HTTP/1.0\r\n\r\n");
}

void write_proxy_headers(const std::filesystem::path& root) {
    const auto folder = root / "fuzz_proxy_header";
    const std::string v2("\r\n\r\n\0\r\nQUIT\n", 12);
    write(folder, "v1", "PROXY TCP4 192.168.0.11 10.0.0.1 56324 1883\r\nmore");
    write(folder, "v1 IPv6", "PROXY TCP6 ::ffff:10.1.2.3 2001:db8::1 0 65535\r\n");
    write(folder, "v1 unknown", "PROXY UNKNOWN\r\n");
    write(folder, "v2 IPv4 and a TLV", v2 + std::string("\x21\x11\0\x10", 4) + std::string(12, '\x0A') + "\x04\1\1x");
    write(folder, "v2 IPv6", v2 + std::string("\x21\x21\0\x24", 4) + std::string(36, '\x0B'));
    write(folder, "v2 Unix", v2 + std::string("\x21\x31\0\xD8", 4) + std::string(216, 'u'));
    write(folder, "v2 local", v2 + std::string("\x20\0\0\0", 4));
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: write_seeds DIRECTORY\n", stderr);
        return 2;
    }
    const std::filesystem::path root = argv[1];
    std::string stream;
    for (const auto& p : fb::test::named_packets()) {
        const auto bytes = p.bytes();
        const char choice = fb::fuzz::first_byte_of(p.version, p.from == fb::test::sender::client);
        write(root / "fuzz_frame", p.name, bytes);
        write(root / "fuzz_decode", p.name, choice + bytes);
        if (p.valid()) stream += bytes;

        const auto begin = p.body.find('[');
        if (begin == std::string_view::npos) continue;
        const auto block = fb::test::render(p.body.substr(begin, p.body.find(']') - begin + 1));
        for (char place = 0; place < 11; ++place)
            write(root / "fuzz_properties", p.name + " " + std::to_string(place), place + block);
    }
    write(root / "fuzz_frame", "every valid packet", stream);
    write_websocket(root, stream);
    write_proxy_headers(root);
    for (const char* lines : {"#\na/b\na/b", "a/+/#\na/b/#\na/b/c", "$share/g/a/#\n+/+\n$SYS/x", "/+/#\n/#\n//"})
        write(root / "fuzz_topic", lines, lines);
    const std::string stored = "$7$1$c2FsdA==$" + std::string(86, 'A') + "==";
    const std::string scram = "SCRAM-SHA-256$1:c2FsdA==$" + std::string(43, 'A') + "=:" + std::string(43, 'A') + "=";
    write(root / "fuzz_password", "file", std::string(1, '\0') + "# users\nann:" + stored + "\nbob:" + scram + "\n");
    write(root / "fuzz_password", "stored", "\1" + stored);
    write(root / "fuzz_password", "scram secret", "\1" + scram);
    write(root / "fuzz_password", "scram", "\2n,,n=user,r=abc\nc=biws,r=abcnonce,p=" + std::string(43, 'A') + "=");
    return 0;
}
