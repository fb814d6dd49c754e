// SPDX-License-Identifier: Apache-2.0

// Go's crypto/tls as an echo server and as the client of one, told by flags what test_go.py asks: go build echo.go needs no other module.
//
// It prints one line for each connection: what was agreed, or the error.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

var groups = map[string]tls.CurveID{
	"x25519": tls.X25519, "secp256r1": tls.CurveP256, "secp384r1": tls.CurveP384,
	"X25519MLKEM768": tls.X25519MLKEM768, "SecP256r1MLKEM768": tls.SecP256r1MLKEM768,
}

var groupNames = map[tls.CurveID]string{
	tls.X25519: "x25519", tls.CurveP256: "secp256r1", tls.CurveP384: "secp384r1",
	tls.X25519MLKEM768: "X25519MLKEM768", tls.SecP256r1MLKEM768: "SecP256r1MLKEM768",
}

var clientAuth = map[string]tls.ClientAuthType{
	"": tls.NoClientCert, "optional": tls.VerifyClientCertIfGiven, "required": tls.RequireAndVerifyClientCert,
}

func main() {
	role := flag.String("role", "", "server or client")
	port := flag.Int("port", 0, "to listen on or to connect to")
	name := flag.String("name", "", "the server's name")
	ca := flag.String("ca", "", "PEM file of the root to trust")
	chain := flag.String("chain", "", "PEM file of our chain")
	key := flag.String("key", "", "PEM file of our key")
	auth := flag.String("client-auth", "", "optional or required")
	group := flag.String("groups", "", "by name, with commas")
	alpn := flag.String("alpn", "", "with commas")
	connections := flag.Int("connections", 1, "one after the other, with one session cache")
	version := flag.String("version", "TLSv1.3", "TLSv1.3 or TLSv1.2")
	suites := flag.String("suites", "", "of TLS 1.2, by name, with commas")
	sessions := flag.String("sessions", "ticket", "none for no resumption in TLS 1.2")
	sizes := flag.String("sizes", "", "of the data to have echoed, with commas")
	flag.Parse()

	roots := x509.NewCertPool()
	pem, err := os.ReadFile(*ca)
	check(err)
	if !roots.AppendCertsFromPEM(pem) {
		check(errors.New("no certificate in " + *ca))
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots, ClientCAs: roots, ServerName: *name,
		ClientAuth: clientAuth[*auth], ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
	if *version == "TLSv1.2" {
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		config.SessionTicketsDisabled = *sessions == "none"
	}
	for _, each := range split(*suites) {
		config.CipherSuites = append(config.CipherSuites, suiteNumber(each))
	}
	for _, each := range split(*group) {
		config.CurvePreferences = append(config.CurvePreferences, groups[each])
	}
	config.NextProtos = split(*alpn)
	if *chain != "" {
		pair, err := tls.LoadX509KeyPair(*chain, *key)
		check(err)
		config.Certificates = []tls.Certificate{pair}
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(*port))
	if *role == "server" {
		serve(address, config, *connections)
		return
	}
	for i := 0; i < *connections; i++ {
		connection, err := tls.Dial("tcp", address, config)
		if err == nil {
			err = talk(connection, split(*sizes))
		}
		report(connection, err)
	}
}

// serve echoes what each of so many connections brings.
func serve(address string, config *tls.Config, connections int) {
	listener, err := net.Listen("tcp", address)
	check(err)
	for i := 0; i < connections; i++ {
		raw, err := listener.Accept()
		check(err)
		connection := tls.Server(raw, config)
		// io.Copy ends without an error at a close_notify alone.
		if _, err = io.Copy(connection, onlyReader{connection}); err == nil {
			err = connection.Close()
		}
		raw.Close()
		report(connection, err)
	}
}

type onlyReader struct{ io.Reader }

// talk has data of these sizes echoed, compares, and closes both ways.
func talk(connection *tls.Conn, sizes []string) error {
	defer connection.Close()
	for _, each := range sizes {
		size, err := strconv.Atoi(each)
		check(err)
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i*7 + i>>8)
		}
		sent := make(chan error, 1)
		go func() { _, err := connection.Write(data); sent <- err }()
		back := make([]byte, size)
		if _, err := io.ReadFull(connection, back); err != nil {
			return err
		}
		if err := <-sent; err != nil {
			return err
		}
		if !bytes.Equal(back, data) {
			return errors.New("the data came back changed")
		}
	}
	if err := connection.CloseWrite(); err != nil {
		return err
	}
	if n, err := connection.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("%d bytes and %v where close_notify was expected", n, err)
	}
	return nil
}

func report(connection *tls.Conn, err error) {
	if err != nil {
		fmt.Printf("error: %v\n", err)
		return
	}
	state := connection.ConnectionState()
	peer := ""
	if len(state.PeerCertificates) > 0 {
		peer = fmt.Sprintf("%x", sha256.Sum256(state.PeerCertificates[0].Raw))
	}
	version := strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1)
	fmt.Printf("version=%s suite=%s group=%s resumed=%t retried=%t alpn=%s name=%s peer=%s\n",
		version, tls.CipherSuiteName(state.CipherSuite), groupNames[state.CurveID], state.DidResume,
		state.HelloRetryRequest, state.NegotiatedProtocol, state.ServerName, peer)
}

func suiteNumber(name string) uint16 {
	for _, each := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if each.Name == name {
			return each.ID
		}
	}
	check(errors.New("no suite " + name))
	return 0
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
