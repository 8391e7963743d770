#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::stderr).init();
    let n: u32 = std::env::args().nth(1).map_or(200, |n| n.parse().unwrap());
    let p: Vec<usize> = std::env::args().nth(2).map_or(vec![1, 8, 64], |p| vec![p.parse().unwrap()]);
    let m = landfall_reference::bench::brski::measure(n, &p, |s| eprintln!("{s}")).await.unwrap();
    println!("{}", serde_json::to_string_pretty(&m).unwrap());
}
