// SPDX-License-Identifier: Apache-2.0

// Java's JSSE as an echo server and as the client of one, told by flags what test_java.py asks: javac Echo.java, and no other class is needed.
//
// It prints one line for each connection: what was agreed, or the error. The groups are set from outside: -Djdk.tls.namedGroups=...

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.ExtendedSSLSession;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SNIServerName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

public final class Echo {
    private static final char[] PASSWORD = "memory".toCharArray();
    private static final Map<String, String> flags = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        for (String each : arguments) {
            int equals = each.indexOf('=');
            flags.put(each.substring(1, equals), each.substring(equals + 1));
        }
        restrict();
        SSLContext context = context();
        int port = Integer.parseInt(flags.get("port"));
        if (flags.get("role").equals("server")) {
            serve(context, port);
        } else {
            connect(context, port);
        }
        System.exit(0);
    }

    /** TLS 1.2 without session tickets has session ids; the suites of static RSA are off unless this list says otherwise. */
    private static void restrict() {
        String tickets = String.valueOf(!flags.getOrDefault("sessions", "").equals("session_id"));
        System.setProperty("jdk.tls.server.enableSessionTicketExtension", tickets);
        System.setProperty("jdk.tls.client.enableSessionTicketExtension", tickets);
        String disabled = Security.getProperty("jdk.tls.disabledAlgorithms");
        Security.setProperty("jdk.tls.disabledAlgorithms", disabled.replaceAll("TLS_RSA_\\*,?", ""));
    }

    private static int connections() {
        return Integer.parseInt(flags.getOrDefault("connections", "1"));
    }

    // ---- The two roles ----

    /** Echoes what each of so many connections brings. */
    private static void serve(SSLContext context, int port) throws Exception {
        InetAddress loopback = InetAddress.getByName("127.0.0.1");
        SSLServerSocket listener =
                (SSLServerSocket) context.getServerSocketFactory().createServerSocket(port, 8, loopback);
        for (int i = 0; i < connections(); i++) {
            try (SSLSocket socket = (SSLSocket) listener.accept()) {
                SSLParameters parameters = parameters(socket);
                String auth = flags.getOrDefault("client-auth", "");
                if (auth.equals("required")) {
                    parameters.setNeedClientAuth(true);
                } else if (auth.equals("optional")) {
                    parameters.setWantClientAuth(true);
                }
                socket.setSSLParameters(parameters);
                InputStream in = socket.getInputStream();
                OutputStream out = socket.getOutputStream();
                byte[] buffer = new byte[1 << 16];
                for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                    out.write(buffer, 0, n);
                }
                report(socket.getSession(), socket.getApplicationProtocol());
            } catch (IOException error) {
                System.out.println("error: " + error);
            }
        }
    }

    /** Has data of the sizes echoed, compares, and closes; so many times, with one session cache. */
    private static void connect(SSLContext context, int port) throws Exception {
        for (int i = 0; i < connections(); i++) {
            // A socket over a socket is for the name given here, and for no other.
            Socket raw = new Socket("127.0.0.1", port);
            String name = flags.get("name");
            try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(raw, name, port, true)) {
                SSLParameters parameters = parameters(socket);
                parameters.setServerNames(List.of(new SNIHostName(name)));
                socket.setSSLParameters(parameters);
                socket.startHandshake();
                for (String each : flags.getOrDefault("sizes", "").split(",")) {
                    if (!each.isEmpty()) {
                        exchange(socket, Integer.parseInt(each));
                    }
                }
                socket.shutdownOutput();
                if (socket.getInputStream().read() >= 0) {
                    throw new IOException("data where close_notify was expected");
                }
                report(socket.getSession(), socket.getApplicationProtocol());
            } catch (IOException error) {
                System.out.println("error: " + error);
            }
        }
    }

    private static void exchange(SSLSocket socket, int size) throws Exception {
        byte[] data = new byte[size];
        for (int i = 0; i < size; i++) {
            data[i] = (byte) (i * 7 + (i >> 8));
        }
        CompletableFuture<Void> sent =
                CompletableFuture.runAsync(
                        () -> {
                            try {
                                socket.getOutputStream().write(data);
                            } catch (IOException error) {
                                throw new java.io.UncheckedIOException(error);
                            }
                        });
        byte[] back = socket.getInputStream().readNBytes(size);
        sent.get();
        if (!Arrays.equals(back, data)) {
            throw new IOException("the data came back changed");
        }
    }

    private static void report(SSLSession session, String alpn) throws Exception {
        String peer = "";
        try {
            byte[] leaf = session.getPeerCertificates()[0].getEncoded();
            peer = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(leaf));
        } catch (SSLPeerUnverifiedException anonymous) {
            // No certificate was asked for, or none was given.
        }
        String name = "";
        for (SNIServerName each : ((ExtendedSSLSession) session).getRequestedServerNames()) {
            name = new SNIHostName(each.getEncoded()).getAsciiName();
        }
        System.out.printf(
                "version=%s suite=%s alpn=%s name=%s peer=%s%n",
                session.getProtocol(), session.getCipherSuite(), alpn, name, peer);
    }

    // ---- Configuration ----

    private static SSLParameters parameters(SSLSocket socket) {
        SSLParameters parameters = socket.getSSLParameters();
        parameters.setProtocols(new String[] {flags.getOrDefault("version", "TLSv1.3")});
        if (flags.containsKey("suites")) {
            parameters.setCipherSuites(flags.get("suites").split(","));
        }
        parameters.setEndpointIdentificationAlgorithm(socket.getUseClientMode() ? "HTTPS" : null);
        if (flags.containsKey("alpn")) {
            parameters.setApplicationProtocols(flags.get("alpn").split(","));
        }
        return parameters;
    }

    private static SSLContext context() throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(identity(), PASSWORD);
        KeyStore roots = empty();
        roots.setCertificateEntry("root", chain(flags.get("ca"))[0]);
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(roots);
        SSLContext context = SSLContext.getInstance("TLSv1.3");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    private static KeyStore identity() throws Exception {
        KeyStore store = empty();
        if (flags.containsKey("chain")) {
            Certificate[] chain = chain(flags.get("chain"));
            String pem = Files.readString(Path.of(flags.get("key"))).replaceAll("-----[A-Z ]+-----|\\s", "");
            KeyFactory factory = KeyFactory.getInstance(chain[0].getPublicKey().getAlgorithm());
            PrivateKey key = factory.generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
            store.setKeyEntry("identity", key, PASSWORD, chain);
        }
        return store;
    }

    private static KeyStore empty() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    private static Certificate[] chain(String file) throws Exception {
        InputStream pem = new ByteArrayInputStream(Files.readAllBytes(Path.of(file)));
        return CertificateFactory.getInstance("X.509").generateCertificates(pem).toArray(new Certificate[0]);
    }
}
