from deploy.cli.main import app

app(prog_name="sakidashi")
