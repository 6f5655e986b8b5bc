//! TCP to a server of the host's, UDP to itself, and a name that may not be looked up.

use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Network,
};
use crate::bindings::wasi::sockets::tcp::{ShutdownType, TcpSocket};
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::bindings::wasi::sockets::udp::UdpSocket;
use crate::bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::streams::{read_all, wait, write_all};
use crate::Report;

pub fn try_all(port: &str, report: &mut Report) {
    let network = instance_network();
    report.push(("tcp", tcp(&network, local(port.parse().unwrap()))));
    let (one, other) = (bound(&network), bound(&network));
    report.push(("udp", exchange(&network, &one, &other)));
    report.push(("udp-options", options(&one)));
    report.push(("lookup", format!("{:?}", lookup(&network))));
    let six = create_tcp_socket(IpAddressFamily::Ipv6).unwrap();
    let only = (six.ipv6_only(), six.set_ipv6_only(true), six.set_ipv6_only(false));
    report.push(("six", format!("{only:?}")));
    report.push(("six-udp", format!("{:?} {:?}", one.ipv6_only(), one.set_ipv6_only(true))));
}

fn tcp(network: &Network, server: IpSocketAddress) -> String {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    assert!(matches!(socket.address_family(), IpAddressFamily::Ipv4));
    assert_eq!(socket.ipv6_only(), Err(ErrorCode::NotSupported));
    tcp_options(&socket);
    socket.set_receive_buffer_size(16384).unwrap();
    socket.set_send_buffer_size(16384).unwrap();
    assert!(socket.receive_buffer_size().unwrap() > 0 && socket.send_buffer_size().unwrap() > 0);
    socket.start_connect(network, server).unwrap();
    let (input, output) = until(|| socket.finish_connect(), || wait(&socket.subscribe())).unwrap();
    assert_eq!(port(socket.remote_address().unwrap()), port(server));
    assert_ne!(port(socket.local_address().unwrap()), 0);
    write_all(&output, b"over tcp");
    socket.shutdown(ShutdownType::Send).unwrap();
    String::from_utf8(read_all(input)).unwrap()
}

fn bound(network: &Network) -> UdpSocket {
    let socket = create_udp_socket(IpAddressFamily::Ipv4).unwrap();
    socket.start_bind(network, local(0)).unwrap();
    until(|| socket.finish_bind(), || wait(&socket.subscribe())).unwrap();
    socket
}

fn options(socket: &UdpSocket) -> String {
    socket.set_unicast_hop_limit(5).unwrap();
    socket.set_receive_buffer_size(16384).unwrap();
    socket.set_send_buffer_size(16384).unwrap();
    let sizes = socket.receive_buffer_size().unwrap() > 0 && socket.send_buffer_size().unwrap() > 0;
    let family = matches!(socket.address_family(), IpAddressFamily::Ipv4);
    format!("{:?} {sizes} {family}", socket.unicast_hop_limit())
}

fn until<R>(mut attempt: impl FnMut() -> Result<R, ErrorCode>, pause: impl Fn()) -> Result<R, ErrorCode> {
    loop {
        match attempt() {
            Err(ErrorCode::WouldBlock) => pause(),
            done => return done,
        }
    }
}

fn local(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

fn port(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}

#[cfg(feature = "october")]
fn exchange(network: &Network, one: &UdpSocket, other: &UdpSocket) -> String {
    use crate::bindings::wasi::sockets::udp::Datagram;
    let datagram = |data: &str, to: &UdpSocket| Datagram {
        data: data.as_bytes().to_vec(),
        remote_address: to.local_address().unwrap(),
    };
    let receive = |socket: &UdpSocket| {
        wait(&socket.subscribe());
        let datagram = socket.receive(1).unwrap().remove(0);
        (String::from_utf8(datagram.data).unwrap(), port(datagram.remote_address))
    };
    assert_eq!(one.receive(1).map(|all| all.len()), Err(ErrorCode::WouldBlock));
    send(one, &[datagram("there", other)]);
    let (there, from) = receive(other);
    assert_eq!(from, port(one.local_address().unwrap()));
    other.start_connect(network, one.local_address().unwrap()).unwrap();
    until(|| other.finish_connect(), || wait(&other.subscribe())).unwrap();
    assert_eq!(port(other.remote_address().unwrap()), from);
    send(other, &[datagram("and", one), datagram("back", one)]);
    let (and, back) = (receive(one).0, receive(one).0);
    format!("{there} {and} {back}")
}

#[cfg(feature = "october")]
fn send(socket: &UdpSocket, mut datagrams: &[crate::bindings::wasi::sockets::udp::Datagram]) {
    while !datagrams.is_empty() {
        let sent = until(|| socket.send(datagrams), || wait(&socket.subscribe())).unwrap();
        datagrams = &datagrams[sent as usize..];
    }
}

#[cfg(feature = "november")]
fn exchange(_: &Network, one: &UdpSocket, other: &UdpSocket) -> String {
    use crate::bindings::wasi::sockets::udp::{IncomingDatagramStream, OutgoingDatagram};
    let datagram = |data: &str, to: Option<&UdpSocket>| OutgoingDatagram {
        data: data.as_bytes().to_vec(),
        remote_address: to.map(|to| to.local_address().unwrap()),
    };
    let receive = |stream: &IncomingDatagramStream| {
        wait(&stream.subscribe());
        let datagram = stream.receive(1).unwrap().remove(0);
        (String::from_utf8(datagram.data).unwrap(), port(datagram.remote_address))
    };
    let (one_in, one_out) = one.stream(None).unwrap();
    let (other_in, other_out) = other.stream(Some(one.local_address().unwrap())).unwrap();
    send(&one_out, &[datagram("there", Some(other))]);
    let (there, from) = receive(&other_in);
    assert_eq!(from, port(other.remote_address().unwrap()));
    send(&other_out, &[datagram("and", None), datagram("back", None)]);
    let (and, back) = (receive(&one_in).0, receive(&one_in).0);
    format!("{there} {and} {back}")
}

#[cfg(feature = "november")]
fn send(
    stream: &crate::bindings::wasi::sockets::udp::OutgoingDatagramStream,
    mut datagrams: &[crate::bindings::wasi::sockets::udp::OutgoingDatagram],
) {
    while !datagrams.is_empty() {
        wait(&stream.subscribe());
        let permitted = datagrams.len().min(stream.check_send().unwrap() as usize);
        let sent = stream.send(&datagrams[..permitted]).unwrap();
        datagrams = &datagrams[sent as usize..];
    }
}

#[cfg(feature = "october")]
fn tcp_options(socket: &TcpSocket) {
    socket.set_keep_alive(true).unwrap();
    assert_eq!(socket.keep_alive(), Ok(true));
    socket.set_no_delay(true).unwrap();
    assert_eq!(socket.no_delay(), Ok(false));
    socket.set_unicast_hop_limit(9).unwrap();
    assert_eq!(socket.unicast_hop_limit(), Ok(9));
}

#[cfg(feature = "november")]
fn tcp_options(socket: &TcpSocket) {
    assert!(!socket.is_listening());
    socket.set_keep_alive_enabled(true).unwrap();
    assert_eq!(socket.keep_alive_enabled(), Ok(true));
    socket.set_keep_alive_idle_time(2_000_000_000).unwrap();
    socket.set_keep_alive_interval(3_000_000_000).unwrap();
    socket.set_keep_alive_count(4).unwrap();
    assert_eq!(socket.keep_alive_idle_time(), Ok(2_000_000_000));
    assert_eq!(socket.keep_alive_interval(), Ok(3_000_000_000));
    assert_eq!(socket.keep_alive_count(), Ok(4));
    socket.set_hop_limit(9).unwrap();
    assert_eq!(socket.hop_limit(), Ok(9));
}

#[cfg(feature = "october")]
fn lookup(network: &Network) -> Result<(), ErrorCode> {
    let addresses = resolve_addresses(network, "localhost", None, true)?;
    until(|| addresses.resolve_next_address(), || wait(&addresses.subscribe())).map(|_| ())
}

#[cfg(feature = "november")]
fn lookup(network: &Network) -> Result<(), ErrorCode> {
    let addresses = resolve_addresses(network, "localhost")?;
    until(|| addresses.resolve_next_address(), || wait(&addresses.subscribe())).map(|_| ())
}
