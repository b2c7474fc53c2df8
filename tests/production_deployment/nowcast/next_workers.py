"""What follows from each worker of the Bay of Fundy forecast system.

Each function gives a list of workers to launch, or that and a set of workers whose followers are
all to wait until the last of the set has ended.
"""

from datetime import timedelta

from nemo_nowcast import Message, NextWorker


def after_download_weather(msg, config, checklist):
    """Weather of 06 begins the second forecast, that of 12 the nowcast of the day."""
    next_workers = {"crash": []}
    for hour in ("00", "06", "12", "18"):
        next_workers[f"success 2.5km {hour}"] = [
            NextWorker("nowcast.workers.collect_weather", args=[hour])
        ]
        next_workers[f"failure 2.5km {hour}"] = []
    for hour in ("00", "12"):
        next_workers[f"success 1km {hour}"] = []
        next_workers[f"failure 1km {hour}"] = []
    if msg.type == "success 2.5km 00":
        next_workers[msg.type].append(
            NextWorker("nowcast.workers.download_weather", args=["06", "2.5km"])
        )
    if msg.type == "success 2.5km 12":
        next_workers[msg.type].append(
            NextWorker("nowcast.workers.download_weather", args=["12", "1km"])
        )
    return next_workers[msg.type]


def after_collect_weather(msg, config, checklist):
    """Always a pair: what follows, and whose followers wait for one another."""
    next_workers, race_condition_workers = [], set()
    if msg.type.startswith("success"):
        hour = msg.type.split()[1]
        next_workers.append(NextWorker("nowcast.workers.archive_weather", args=[hour]))
        next_workers.append(NextWorker("nowcast.workers.crop_gribs", args=[hour]))
        if hour == "06":
            for station in config["rivers"]["stations"]:
                next_workers.append(
                    NextWorker("nowcast.workers.collect_river_data", args=[station])
                )
            next_workers.append(NextWorker("nowcast.workers.make_ssh_files", args=["forecast2"]))
            race_condition_workers = {"crop_gribs", "make_ssh_files"}
        if hour == "12":
            next_workers += [
                NextWorker("nowcast.workers.make_runoff_file"),
                NextWorker("nowcast.workers.collect_tide_gauges"),
                NextWorker("nowcast.workers.collect_buoys"),
                NextWorker("nowcast.workers.collect_drifters"),
            ]
            race_condition_workers = {"crop_gribs", "make_runoff_file", "collect_tide_gauges"}
    return next_workers, race_condition_workers


def after_crop_gribs(msg, config, checklist):
    next_workers = {
        "success 06": [NextWorker("nowcast.workers.grib_to_netcdf", args=["forecast2"])],
        "success 12": [NextWorker("nowcast.workers.grib_to_netcdf", args=["nowcast+"])],
        "success 18": [NextWorker("nowcast.workers.make_turbidity_file")],
    }
    return next_workers.get(msg.type, [])


def after_archive_weather(msg, config, checklist):
    """The archive of the morning has the last evening in it: what follows at 18 follows now."""
    if msg.type != "success 06":
        return []
    evening = Message("collect_weather", "success 18")
    next_workers, race_condition_workers = after_collect_weather(evening, config, checklist)
    assert not race_condition_workers
    return [worker for worker in next_workers if worker.module.endswith("crop_gribs")]


def after_grib_to_netcdf(msg, config, checklist):
    model, agrif = config["run"]["model host"], config["run"]["agrif host"]
    next_workers = {
        "success nowcast+": [
            NextWorker("nowcast.workers.upload_forcing", args=[model, "nowcast+"]),
            NextWorker("nowcast.workers.make_waves_wind", args=["nowcast"]),
        ],
        "success forecast2": [
            NextWorker("nowcast.workers.upload_forcing", args=[model, "forecast2"]),
            NextWorker("nowcast.workers.make_waves_wind", args=["forecast2"]),
        ],
    }
    if model != agrif and msg.type == "success nowcast+":
        next_workers[msg.type].append(
            NextWorker("nowcast.workers.upload_forcing", args=[agrif, "nowcast+"])
        )
    return next_workers.get(msg.type, [])


def after_collect_river_data(msg, config, checklist):
    return []


def after_make_runoff_file(msg, config, checklist):
    return []


def after_collect_tide_gauges(msg, config, checklist):
    """What the gauges say of the sea level is the open boundary of the nowcast."""
    if msg.type != "success":
        return []
    return [NextWorker("nowcast.workers.make_ssh_files", args=["nowcast"])]


def after_make_ssh_files(msg, config, checklist):
    model = config["run"]["model host"]
    if msg.type in ("success nowcast", "success forecast"):
        return [NextWorker("nowcast.workers.upload_forcing", args=[model, "ssh"])]
    return []


def after_download_live_boundary(msg, config, checklist):
    """The files of the boundary and of the rivers go up to the cluster together."""
    if msg.type != "success":
        return []
    return (
        [
            NextWorker("nowcast.workers.make_ocean_boundary"),
            NextWorker("nowcast.workers.make_drift_file"),
        ],
        {"make_ocean_boundary", "make_drift_file"},
    )


def after_make_ocean_boundary(msg, config, checklist):
    if msg.type != "success":
        return []
    yesterday = checklist["live boundary"]["run date"] - timedelta(days=1)
    return [
        NextWorker(
            "nowcast.workers.make_averaged_dataset",
            args=["day", "physics", "--run-date", yesterday.isoformat()],
        )
    ]


def after_make_drift_file(msg, config, checklist):
    if msg.type != "success":
        return []
    return [NextWorker("nowcast.workers.run_bloom_forecast")]


def after_make_turbidity_file(msg, config, checklist):
    if msg.type != "success":
        return []
    host = config["run"]["model host"]
    return [NextWorker("nowcast.workers.upload_forcing", args=[host, "turbidity"])]


def after_collect_buoys(msg, config, checklist):
    if msg.type != "success":
        return []
    return [NextWorker("nowcast.workers.ping_server", args=["buoys"])]


def after_collect_drifters(msg, config, checklist):
    return []


def after_upload_forcing(msg, config, checklist):
    """Links are made on the host that the forcing was uploaded to, for the runs there."""
    if msg.type not in ("success nowcast+", "success forecast2", "success ssh"):
        return []
    run_type = msg.type.split()[1]
    host = msg.payload[run_type]["host"]
    links = []
    if host == config["run"]["model host"]:
        links.append(run_type)
    if host == config["run"]["agrif host"] and run_type == "nowcast+":
        links.append("nowcast-agrif")
    return [
        NextWorker("nowcast.workers.make_forcing_links", args=[host, link], host=host)
        for link in links
    ]


def after_make_forcing_links(msg, config, checklist):
    hosts = config["run"]
    model = hosts["model host"]
    next_workers = {
        "success nowcast+": [
            NextWorker("nowcast.workers.run_model", args=[model, "nowcast"], host=model),
        ],
        "success nowcast-green": [
            NextWorker("nowcast.workers.run_model", args=[model, "nowcast-green"], host=model)
        ],
        "success nowcast-agrif": [
            NextWorker(
                "nowcast.workers.run_model_agrif",
                args=[hosts["agrif host"]],
                host=hosts["agrif host"],
            )
        ],
        "success forecast2": [
            NextWorker("nowcast.workers.run_model", args=[model, "forecast2"], host=model)
        ],
        "success ssh": [],
    }
    if msg.type == "success ssh" and "forecast" in checklist["sea surface height forcing"]:
        next_workers[msg.type] = [
            NextWorker("nowcast.workers.run_model", args=[model, "forecast"], host=model)
        ]
    return next_workers.get(msg.type, [])


def after_run_model(msg, config, checklist):
    if not msg.type.startswith("success"):
        return []
    run_type = msg.type.split()[1]
    host = config["run"]["model host"]
    return [NextWorker("nowcast.workers.watch_model", args=[host, run_type], host=host)]


def after_watch_model(msg, config, checklist):
    if not msg.type.startswith("success"):
        return []
    run_type = msg.type.split()[1]
    host = config["run"]["model host"]
    run_date = msg.payload[run_type]["run date"].isoformat()
    follows = {
        "nowcast": [
            NextWorker("nowcast.workers.make_ssh_files", args=["forecast"]),
            NextWorker(
                "nowcast.workers.make_forcing_links", args=[host, "nowcast-green"], host=host
            ),
        ],
        "forecast": [NextWorker("nowcast.workers.make_waves_current", args=["forecast"])],
        "forecast2": [NextWorker("nowcast.workers.make_waves_current", args=["forecast2"])],
        "nowcast-green": [],
    }[run_type]
    download = NextWorker(
        "nowcast.workers.download_results", args=[host, run_type, "--run-date", run_date]
    )
    return [*follows, download]


def after_run_model_agrif(msg, config, checklist):
    if msg.type != "success":
        return []
    host = config["run"]["agrif host"]
    return [NextWorker("nowcast.workers.watch_model_agrif", args=[host], host=host)]


def after_watch_model_agrif(msg, config, checklist):
    if msg.type != "success":
        return []
    host = config["run"]["agrif host"]
    return [NextWorker("nowcast.workers.download_results", args=[host, "nowcast-agrif"])]


def after_download_results(msg, config, checklist):
    if not msg.type.startswith("success"):
        return []
    run_type = msg.type.split()[1]
    plots = "nowcast.workers.make_plots"
    return {
        "nowcast": [
            NextWorker(plots, args=["nemo", "nowcast", "research"]),
            NextWorker(plots, args=["nemo", "nowcast", "comparison"]),
            NextWorker("nowcast.workers.make_transects", args=["nowcast"]),
            NextWorker("nowcast.workers.make_averaged_dataset", args=["day", "physics"]),
            NextWorker("nowcast.workers.archive_tarball", args=["nowcast"]),
        ],
        "nowcast-green": [
            NextWorker(plots, args=["nemo", "nowcast-green", "research"]),
            NextWorker("nowcast.workers.make_averaged_dataset", args=["day", "biology"]),
            NextWorker("nowcast.workers.make_surface_tiles", args=["nowcast-green"]),
            NextWorker("nowcast.workers.ping_server", args=["nowcast-green"]),
        ],
        "nowcast-agrif": [NextWorker(plots, args=["nemo", "nowcast-agrif", "research"])],
        "forecast": [NextWorker("nowcast.workers.update_datasets", args=["nemo", "forecast"])],
        "forecast2": [NextWorker("nowcast.workers.update_datasets", args=["nemo", "forecast2"])],
        "hindcast": [NextWorker("nowcast.workers.split_results", args=["hindcast"])],
    }[run_type]


def after_update_datasets(msg, config, checklist):
    """Plots, feeds and skill of a forecast; its pages wait for all of them."""
    if not msg.type.startswith("success"):
        return []
    model, run_type = msg.type.split()[1:]
    if model == "waves":
        return [
            NextWorker("nowcast.workers.make_plots", args=["waves", run_type, "publish"]),
            NextWorker("nowcast.workers.ping_server", args=[run_type]),
        ]
    return (
        [
            NextWorker("nowcast.workers.make_plots", args=["nemo", run_type, "publish"]),
            NextWorker("nowcast.workers.make_surface_tiles", args=[run_type]),
            NextWorker("nowcast.workers.verify_forecast", args=[run_type]),
            NextWorker("nowcast.workers.make_transects", args=[run_type]),
        ],
        {"make_surface_tiles", "verify_forecast"},
    )


def after_make_plots(msg, config, checklist):
    if msg.type in ("success nemo forecast publish", "success nemo forecast2 publish"):
        run_type = msg.type.split()[2]
        return [NextWorker("nowcast.workers.make_feeds", args=[run_type, "publish"])]
    if msg.type == "success nemo nowcast research":
        return [
            NextWorker("nowcast.workers.ping_server", args=["nowcast"]),
            NextWorker("nowcast.workers.publish_pages", args=["nowcast"]),
        ]
    return []


def after_make_surface_tiles(msg, config, checklist):
    return []


def after_verify_forecast(msg, config, checklist):
    if msg.type not in ("success forecast", "success forecast2"):
        return []
    return [NextWorker("nowcast.workers.send_surge_warning")]


def after_send_surge_warning(msg, config, checklist):
    return []


def after_make_transects(msg, config, checklist):
    return []


def after_make_feeds(msg, config, checklist):
    if not msg.type.startswith("success"):
        return []
    return [NextWorker("nowcast.workers.publish_pages", args=[msg.type.split()[1]])]


def after_publish_pages(msg, config, checklist):
    """The second forecast's pages end the morning: the weather of 12 is next."""
    if msg.type == "success forecast2":
        return [NextWorker("nowcast.workers.download_weather", args=["12", "2.5km"])]
    return []


def after_ping_server(msg, config, checklist):
    return []


def after_make_averaged_dataset(msg, config, checklist):
    """On the last day of a month its average follows."""
    if msg.type not in ("success day physics", "success day biology"):
        return []
    variables = msg.type.split()[2]
    day = msg.payload[variables]["run date"]
    if (day + timedelta(days=1)).day != 1:
        return []
    return [NextWorker("nowcast.workers.make_averaged_dataset", args=["month", variables])]


def after_archive_tarball(msg, config, checklist):
    return []


def after_make_waves_wind(msg, config, checklist):
    if msg.type == "success nowcast":
        return [NextWorker("nowcast.workers.make_waves_current", args=["nowcast"])]
    return []


def after_make_waves_current(msg, config, checklist):
    if not msg.type.startswith("success"):
        return []
    host = config["run"]["waves host"]
    return [NextWorker("nowcast.workers.run_waves", args=[host, msg.type.split()[1]], host=host)]


def after_run_waves(msg, config, checklist):
    if not msg.type.startswith("success"):
        return []
    host = config["run"]["waves host"]
    return [NextWorker("nowcast.workers.watch_waves", args=[host, msg.type.split()[1]], host=host)]


def after_watch_waves(msg, config, checklist):
    if not msg.type.startswith("success"):
        return []
    host = config["run"]["waves host"]
    return [NextWorker("nowcast.workers.download_waves", args=[host, msg.type.split()[1]])]


def after_download_waves(msg, config, checklist):
    if msg.type in ("success forecast", "success forecast2"):
        return [NextWorker("nowcast.workers.update_datasets", args=["waves", msg.type.split()[1]])]
    return []


def after_run_bloom_forecast(msg, config, checklist):
    return []


def after_run_hindcast(msg, config, checklist):
    if msg.type != "success":
        return []
    host = config["run"]["hindcast host"]
    return [NextWorker("nowcast.workers.watch_hindcast", args=[host], host=host)]


def after_watch_hindcast(msg, config, checklist):
    if msg.type != "success":
        return []
    host = config["run"]["hindcast host"]
    return [NextWorker("nowcast.workers.download_results", args=[host, "hindcast"])]


def after_split_results(msg, config, checklist):
    """The chunks of the hindcast are numbered: the next one follows."""
    if msg.type != "success hindcast":
        return []
    chunk = checklist["hindcast run"]["chunk"] + 1
    if chunk not in config["hindcast"]["chunks"]:
        return [NextWorker("nowcast.workers.archive_tarball", args=["hindcast"])]
    host = config["run"]["hindcast host"]
    return [NextWorker("nowcast.workers.run_hindcast", args=[host, "--chunk", chunk], host=host)]


def after_check_disk_space(msg, config, checklist):
    return []


def after_make_monthly_report(msg, config, checklist):
    return []


def after_launch_remote_worker(msg, config, checklist):
    return []


def after_clear_checklist(msg, config, checklist):
    if msg.type != "success":
        return []
    return [NextWorker("nemo_nowcast.workers.rotate_logs")]


def after_rotate_logs(msg, config, checklist):
    return []
