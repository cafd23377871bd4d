# A machine as a job of Nomad: nomad job run -var name=web contrib/nomad/tsbhyve.nomad.hcl
variable "name" {
  type    = string
  default = "vm0"
}

job "tsbhyve" {
  type = "service"

  group "machine" {
    # A status of 0 is a reboot of the guest, and Nomad starts the task again.
    restart {
      attempts = 3
      interval = "10m"
      delay    = "5s"
      mode     = "fail"
    }

    task "machine" {
      driver       = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "60s"

      config {
        command = "/usr/local/bin/tsbhyve"
        args    = ["-k", "/etc/tsbhyve/${var.name}.flat", "--", "${var.name}"]
      }

      resources {
        cpu    = 1000
        memory = 1024
      }
    }
  }
}
